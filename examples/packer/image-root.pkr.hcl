# An image whose root directory is mounted on this machine: nothing of it is run. See README.md.

variable "binary" {
  description = "The k3s-harden binary on this machine."
  default     = "./k3s-harden"
}

variable "root" {
  description = "Where the image is mounted."
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

source "null" "image" {
  communicator = "none"
}

build {
  sources = ["source.null.image"]

  provisioner "shell-local" {
    environment_vars = [
      "K3S_HARDEN_ROOT=${var.root}",
      "K3S_HARDEN_K3S_VERSION=${var.k3s_version}",
      "K3S_HARDEN_ROLE=${var.role}",
    ]
    inline = [
      "set -e",
      "${var.binary} apply --no-history",
      "${var.binary} verify --fail-on never --format html > ${var.reports}/k3s-harden.html",
      "${var.binary} verify --fail-on never --format json > ${var.reports}/k3s-harden.json",
      "${var.binary} verify --only-findings",
    ]
  }
}
