module k3s-harden/tests/oracle/yaml_v2

go 1.21

require gopkg.in/yaml.v2 v2.4.0
