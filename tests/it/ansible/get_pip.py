# SPDX-License-Identifier: Apache-2.0
"""What ansible-test loads from a server of its own to put pip into an environment; here it comes from Python itself."""

import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"])
wanted = [word for word in sys.argv[1:] if not word.startswith("--no-")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
