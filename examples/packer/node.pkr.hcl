# A K3s node as an image: hardened, then K3s installed but not started, then judged. See README.md.

variable "binary" {
  description = "The k3s-harden binary on this machine."
  default     = "./k3s-harden"
}

variable "k3s_version" {
  default = "v1.33.4+k3s1"
}

variable "role" {
  description = "server or agent"
  default     = "server"
}

variable "reports" {
  description = "Where the reports go on this machine."
  default     = "."
}

variable "host" {}

variable "port" {
  default = 22
}

variable "key" {
  description = "The private key of root's on that machine."
}

# A machine that is there already. Any other builder may stand here: qemu, amazon-ebs, proxmox …
source "null" "node" {
  ssh_host             = var.host
  ssh_port             = var.port
  ssh_username         = "root"
  ssh_private_key_file = var.key
  ssh_timeout          = "2m"
}

build {
  sources = ["source.null.node"]

  provisioner "file" {
    source      = var.binary
    destination = "/tmp/k3s-harden"
  }

  # The machine that builds keeps its own kernel parameters, and the image gets no history of it.
  # Where the user is not root, each shell provisioner needs: execute_command = "sudo -E sh '{{ .Path }}'"
  provisioner "shell" {
    inline = [
      "install -m 0755 /tmp/k3s-harden /usr/local/bin/k3s-harden",
      "rm /tmp/k3s-harden",
      "k3s-harden apply --no-live-sysctl --no-history --k3s-version ${var.k3s_version} --role ${var.role}",
    ]
  }

  # Packer stops at the first provisioner that fails, so K3s is not installed where hardening has failed.
  provisioner "shell" {
    environment_vars = [
      "INSTALL_K3S_VERSION=${var.k3s_version}",
      "INSTALL_K3S_SKIP_START=true",
    ]
    inline = [
      "curl -sfL -o /tmp/install-k3s.sh https://get.k3s.io",
      "sh /tmp/install-k3s.sh ${var.role}",
      "rm /tmp/install-k3s.sh",
    ]
  }

  # The reports come first, so that they are there also where the verdict is a bad one.
  provisioner "shell" {
    inline = [
      "k3s-harden verify --role ${var.role} --fail-on never --format html > /tmp/k3s-harden.html",
      "k3s-harden verify --role ${var.role} --fail-on never --format json > /tmp/k3s-harden.json",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/k3s-harden.html"
    destination = "${var.reports}/k3s-harden.html"
  }

  provisioner "file" {
    direction   = "download"
    source      = "/tmp/k3s-harden.json"
    destination = "${var.reports}/k3s-harden.json"
  }

  # No image where a control fails.
  provisioner "shell" {
    inline = [
      "rm /tmp/k3s-harden.html /tmp/k3s-harden.json",
      "k3s-harden verify --role ${var.role} --only-findings",
    ]
  }
}
