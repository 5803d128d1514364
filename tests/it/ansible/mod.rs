// SPDX-License-Identifier: Apache-2.0
//! The Ansible collection in `examples/ansible`, run by Ansible itself: through SSH on nodes of their own, and on many
//! roots of this machine at once.
//!
//! They are part of the second tier: `cargo test --test it ansible -- --include-ignored` as root, with python3 and its
//! venv, PyPI, OpenSSH's client and server, and strip.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test of programs that prints its figures"
)]

mod bed;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::deploy_times::{DeployController, MANIFESTS};
use crate::minors::newest;
use crate::newer_minor::newer;
use crate::support::node::{Node, WRONG};
use crate::support::turns;
use bed::{Bed, Inventory, Reached, run};
use serde_json::{Value, json};

const VERSION: &str = "v1.33.4+k3s1";
const DROP_IN: &str = "etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
/// What hardening writes but its own records, which hold times.
const WRITTEN: [&str; 3] = ["etc/rancher", "etc/sysctl.d", "var/lib/rancher"];
const STATE: &str = "var/lib/k3s-harden";

/// Settings as an inventory has them.
fn settings() -> Value {
    json!({
        "audit_log_maxage": 90,
        "ingress_to": ["default", "shop"],
        "waivers": [{"control": "event-rate-limit", "reason": "one administrator", "who": "J. Doe", "until": "2999-12-31"}],
    })
}

/// Returns everything at and below some paths of a root: type, mode, owner and bytes; of records without their bytes.
fn tree(root: &Path) -> BTreeMap<String, (u32, u32, u32, Vec<u8>)> {
    fn visit(root: &Path, path: &Path, found: &mut BTreeMap<String, (u32, u32, u32, Vec<u8>)>) {
        let Ok(data) = fs::symlink_metadata(path) else { return };
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let bytes =
            if data.is_file() && !name.starts_with(STATE) { fs::read(path).unwrap() } else { Vec::new() };
        found.insert(name, (data.mode(), data.uid(), data.gid(), bytes));
        if data.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                visit(root, &entry.unwrap().path(), found);
            }
        }
    }
    let mut found = BTreeMap::new();
    for path in WRITTEN.iter().chain(&[STATE]) {
        visit(root, &root.join(path), &mut found);
    }
    found
}

/// Tasks for the role to include that say where K3s would be installed.
fn hook(folder: &Path, file: &str) -> String {
    let path = folder.join("install.yml");
    let text = format!("- ansible.builtin.shell: echo install >> {file}\n  changed_when: false\n");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs root, python3, PyPI, strip, unshare and sshd"]
fn a_node_through_ssh_is_shown_hardened_installed_verified_and_then_left_alone() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let begin = Instant::now();
    let (reached, by_hand) = (Reached::make(), Node::make());
    let node = &reached.node;
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path();
    // K3s's installer, which says what it was told and what was there.
    node.prepare(&format!(
        "cat > /usr/local/bin/curl <<'END'
#!/bin/sh
echo 'echo \"$INSTALL_K3S_VERSION $INSTALL_K3S_EXEC\" > /opt/installed; ls /{DROP_IN} >> /opt/installed'
echo 'echo {VERSION} > /usr/local/bin/k3s'
END
chmod 755 /usr/local/bin/curl"
    ));
    let inventory = Inventory::new(&json!({
        "k3s_harden_k3s_version": VERSION,
        "k3s_harden_role": "server",
        "k3s_harden_settings": settings(),
        "k3s_harden_install_tasks": fs::canonicalize("examples/ansible/install-k3s.yml").unwrap(),
        "k3s_harden_verify": true,
        "k3s_harden_report_dir": reports.to_str().unwrap(),
    }))
    .host("node", reached.variables());

    let programs = || run(Command::new("ls").arg("-lA").arg(node.path("/usr/local/bin"))).stdout;
    // Ansible itself has a directory for its modules, so / is written to.
    let everything = || {
        let mut found = node.everything();
        found.remove("/");
        found
    };
    let (before, programs_before) = (everything(), programs());
    let shown = bed.play(&inventory, &["--check", "--diff"]).well();
    assert!(shown.count("node", "changed") >= 3, "{}", shown.text);
    for line in [
        "+  - \"audit-log-maxage=90\" # CIS 1.2.17",
        "+audit_log_maxage: 90",
        "+++ /etc/sysctl.d/90-kubelet.conf",
    ] {
        assert!(shown.text.contains(line), "{line} is not in {}", shown.text);
    }
    assert_eq!(everything(), before);
    assert!(!node.path("/etc/k3s-harden").exists() && !node.path("/opt/installed").exists());
    assert_eq!(programs(), programs_before);
    assert_eq!(node.sysctls(), WRONG.map(|(_, value)| value));

    let done = bed.play(&inventory, &["--diff"]).well();
    assert!(done.count("node", "changed") >= 3, "{}", done.text);
    let role = |text: &str| {
        let begin = text.find("TASK [k3sharden.k3s.node : Harden the node]").unwrap();
        let lines = text[begin..].lines().skip(1).take_while(|line| !line.starts_with("TASK ["));
        lines.filter(|line| line.starts_with(['+', '-', '@'])).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(role(&shown.text), role(&done.text), "what is shown is what is done");
    assert_eq!(node.sysctls(), ["20000", "200", "10", "1", "1", "0"]);
    let installed = fs::read_to_string(node.path("/opt/installed")).unwrap();
    assert_eq!(installed, format!("{VERSION} server\n/{DROP_IN}\n"));
    let report = fs::read_to_string(reports.join("node.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let waived =
        report["controls"].as_array().unwrap().iter().find(|one| one["name"] == "event-rate-limit").unwrap();
    assert_eq!(waived["waiver"]["who"], "J. Doe");
    assert_eq!(report["summary"]["fail"], 0);

    // The same by hand: the same tree.
    by_hand.prepare("mkdir -p /etc/k3s-harden");
    fs::copy(node.path("/etc/k3s-harden/settings.yaml"), by_hand.path("/etc/k3s-harden/settings.yaml"))
        .unwrap();
    by_hand.run(["k3s-harden", "apply", "--k3s-version", VERSION, "--role", "server"]).expect(0);
    let (ours, theirs) = (tree(&node.path("/")), tree(&by_hand.path("/")));
    assert!(ours.contains_key(DROP_IN));
    assert_eq!(ours, theirs);

    let hardened = everything();
    let again = bed.play(&inventory, &["--diff"]).well();
    assert_eq!(again.count("node", "changed"), 0, "{}", again.text);
    assert_eq!(everything(), hardened);
    let checked = bed.play(&inventory, &["--check"]).well();
    assert_eq!(checked.count("node", "changed"), 0, "{}", checked.text);
    println!("one node through SSH, four runs: {:.0} s", begin.elapsed().as_secs_f64());
}

#[test]
#[ignore = "needs root, python3, PyPI and strip"]
fn of_twenty_nodes_the_one_that_cannot_be_hardened_gets_no_k3s() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let folder = tempfile::tempdir().unwrap();
    let root = |number: usize| folder.path().join(format!("node-{number:02}"));
    let mut inventory = Inventory::new(&json!({
        "ansible_connection": "local",
        "k3s_harden_root": format!("{}/{{{{ inventory_hostname }}}}", folder.path().display()),
        "k3s_harden_binary": format!("{}/programs/{{{{ inventory_hostname }}}}", folder.path().display()),
        "k3s_harden_k3s_version": VERSION,
        "k3s_harden_settings": settings(),
        "k3s_harden_install_tasks": hook(folder.path(), "{{ k3s_harden_root }}/installed"),
    }));
    fs::create_dir(folder.path().join("programs")).unwrap();
    for number in 0..20 {
        inventory = inventory.host(
            &format!("node-{number:02}"),
            json!({"k3s_harden_role": if number < 3 { "server" } else { "agent" }}),
        );
        fs::create_dir_all(root(number).join("etc")).unwrap();
    }
    let in_the_way = root(7).join("etc/rancher");
    fs::write(&in_the_way, "a file where a directory must be").unwrap();
    fs::set_permissions(&in_the_way, fs::Permissions::from_mode(0o644)).unwrap();

    let begin = Instant::now();
    let first = bed.play(&inventory, &[]);
    println!("twenty nodes, the first run: {:.0} s", begin.elapsed().as_secs_f64());
    for number in 0..20 {
        let host = format!("node-{number:02}");
        let failed = number == 7;
        assert_eq!(first.count(&host, "failed"), u32::from(failed), "{}", first.text);
        assert_eq!(root(number).join("installed").exists(), !failed, "{host}");
        assert_eq!(root(number).join(DROP_IN).exists(), !failed, "{host}");
    }
    for part in ["/etc/rancher", "exited with 73", "nothing was changed"] {
        assert!(first.text.contains(part), "{part} is not in {}", first.text);
    }
    assert!(!root(7).join("var").exists());

    fs::remove_file(&in_the_way).unwrap();
    let begin = Instant::now();
    let second = bed.play(&inventory, &[]).well();
    println!("twenty nodes, the second run: {:.0} s", begin.elapsed().as_secs_f64());
    for number in 0..20 {
        let changed = second.count(&format!("node-{number:02}"), "changed");
        assert_eq!(changed, u32::from(number == 7), "{}", second.text);
    }
    for (like, role) in [(0, "server"), (3, "agent")] {
        let by_hand = tempfile::tempdir().unwrap();
        for path in ["etc", "etc/k3s-harden"] {
            fs::create_dir(by_hand.path().join(path)).unwrap();
        }
        let settings = "etc/k3s-harden/settings.yaml";
        fs::copy(root(like).join(settings), by_hand.path().join(settings)).unwrap();
        run(Command::new(bed.path("k3s-harden"))
            .args(["apply", "--k3s-version", VERSION, "--role", role, "--root"])
            .arg(by_hand.path()));
        for number in if role == "server" { 0..3 } else { 3..20 } {
            assert_eq!(tree(&root(number)), tree(by_hand.path()), "node-{number:02}");
        }
    }
}

#[test]
#[ignore = "needs root, python3, PyPI and strip"]
fn nothing_is_installed_even_where_errors_are_ignored() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let folder = tempfile::tempdir().unwrap();
    let (root, playbook) = (folder.path().join("root"), folder.path().join("play.yml"));
    fs::create_dir(&root).unwrap();
    fs::write(
        &playbook,
        "- {hosts: all, gather_facts: false, ignore_errors: true, roles: [k3sharden.k3s.node]}",
    )
    .unwrap();
    let inventory = Inventory::new(&json!({
        "ansible_connection": "local",
        "k3s_harden_root": root,
        "k3s_harden_binary": folder.path().join("k3s-harden"),
        "k3s_harden_k3s_version": "9.9",
        "k3s_harden_install_tasks": hook(folder.path(), "{{ k3s_harden_root }}/installed"),
    }))
    .host("node", json!({}));
    let play = bed.play_of(&playbook, &inventory, &[]);
    assert_eq!(play.count("node", "ignored"), 1, "{}", play.text);
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "{}", play.text);
}

#[test]
#[ignore = "needs root, python3, PyPI, strip, unshare and sshd"]
fn k3s_is_restarted_where_it_runs_and_something_has_changed() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let reached = Reached::make();
    let node = &reached.node;
    // A service manager that writes down what it is asked.
    node.prepare(
        r#"mkdir -p /run/systemd/system /opt
           echo systemd > /opt/comm; mount --bind /opt/comm /proc/1/comm
           cat > /usr/bin/systemctl.new <<'END'
#!/bin/sh
case "$*" in
  *list-units*) sed 's/$/ loaded active running -/' /opt/running ;;
  *list-unit-files*) ;;
  *show*) printf 'LoadState=loaded\nActiveState=active\nSubState=running\n' ;;
  *restart*) echo "$*" >> /opt/log ;;
esac
END
           chmod 755 /usr/bin/systemctl.new; mv /usr/bin/systemctl.new /usr/bin/systemctl"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let mut inventory = Inventory::new(&json!({
        "k3s_harden_k3s_version": VERSION,
        "k3s_harden_install_tasks": hook(folder.path(), "/opt/log"),
    }))
    .host("node", reached.variables());
    let mut log_of = |running: &str, maxage: u32| {
        fs::write(node.path("/opt/running"), running).unwrap();
        fs::write(node.path("/opt/log"), "").unwrap();
        inventory.set("k3s_harden_settings", json!({"audit_log_maxage": maxage}));
        let play = bed.play(&inventory, &[]).well();
        (fs::read_to_string(node.path("/opt/log")).unwrap(), play.text)
    };
    for (running, maxage, expected) in [
        // K3s is only about to be installed: it starts hardened.
        ("ssh.service\n", 60, "install\n"),
        ("ssh.service\nk3s.service\n", 61, "restart k3s\ninstall\n"),
        ("ssh.service\nk3s.service\n", 61, "install\n"),
        ("k3s-agent.service\nk3s-other.service\n", 62, "restart k3s-agent\ninstall\n"),
    ] {
        let (log, text) = log_of(running, maxage);
        assert_eq!(log, expected, "{running} {maxage}: {text}");
    }
}

#[test]
#[ignore = "needs root, python3, PyPI and strip"]
fn the_module_says_what_the_binary_says() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let options = json!({"root": root, "k3s_version": "1.33", "role": "server"});
    let with = |more: Value| {
        let mut options = options.clone();
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        options
    };
    let is_failed = |said: &Value, code: u32, text: &str| {
        assert_eq!(said["exit_code"], code, "{said}");
        assert!(said["msg"].as_str().unwrap().contains(text), "{said}");
        assert_eq!(fs::read_dir(root).unwrap().count(), 0, "{said}");
    };

    let said = bed.module(&with(json!({"settings": {"audit_log_maxag": 90}})), &[]);
    is_failed(&said, 65, "unknown setting \"audit_log_maxag\"");
    assert!(said["hints"][0].as_str().unwrap().contains("audit_log_maxage"), "{said}");
    is_failed(
        &bed.module(&with(json!({"k3s_version": "9.9"})), &["--check"]),
        64,
        "write it as v1.33.4+k3s1",
    );
    let said = bed.module(&with(json!({"binary": "/no/such/program"})), &[]);
    assert!(said["msg"].as_str().unwrap().contains("there is no /no/such/program"), "{said}");
    is_failed(
        &bed.module(&with(json!({"binary": "/bin/true"})), &[]),
        0,
        "did not answer as k3s-harden does",
    );
    let newer = json!({"k3s_version": newer()});
    let said = bed.module(&with(newer.clone()), &["--check"]);
    is_failed(&said, 65, "is newer than this version of k3s-harden supports");
    let mut told = with(newer);
    told["assume_minor"] = newest().into();
    let said = bed.module(&told, &["--check"]);
    assert_eq!((&said["changed"], &said["exit_code"]), (&true.into(), &2.into()), "{said}");
    assert!(said["everything"].as_str().unwrap().contains(&format!("treated as {}", newest())), "{said}");

    // Somebody's file with a token at the place of ours; every kind of value.
    let drop_in = root.join(DROP_IN);
    fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
    let theirs = "token: \"s3cret-word\"
kube-apiserver-arg: [\"oidc-client-secret=s3cret-word\", v=2]
write-kubeconfig-mode: \"0640\"
";
    fs::write(&drop_in, theirs).unwrap();
    let options = with(json!({
        "profile": ["cis", "strict"],
        "settings": {
            "ingress_to": ["default", "shop"],
            "audit_log_maxage": 90,
            "event_rate_limits": [{"type": "Server", "qps": 50, "burst": 100}],
            "tight_ports": true,
            "pod_max_pids": null,
        },
        "skip": ["5.1.5"],
        "on_foreign": "replace",
        "on_conflict": "ours",
        "data_dir": "/var/lib/rancher/k3s",
        "live_sysctl": false,
        "preflight": false,
        "lock_timeout": 5,
    }));
    let shown = bed.module(&options, &["--check", "--diff"]);
    assert_eq!((&shown["changed"], &shown["exit_code"]), (&true.into(), &2.into()), "{shown}");
    let everything = shown["everything"].as_str().unwrap();
    assert!(everything.contains("-token: ***") && !everything.contains("s3cret-word"), "{everything}");
    assert!(everything.contains("oidc-client-secret=***"), "{everything}");
    assert!(everything.contains("-write-kubeconfig-mode: \"0640\""), "{everything}");
    assert!(everything.contains("WARNING"), "{everything}");
    assert!(!root.join("var").exists());
    let done = bed.module(&options, &[]);
    assert_eq!(done["actions"], shown["actions"]);
    assert_eq!((&done["node_role"], &done["kubernetes"]), (&"server".into(), &"1.33".into()));
    assert!(!done["everything"].as_str().unwrap().contains("s3cret-word"));
    let text = fs::read_to_string(&drop_in).unwrap();
    assert!(
        text.contains("audit-log-maxage=90")
            && text.contains("EventRateLimit")
            // null takes the setting back: the profile decides.
            && text.contains("pod-max-pids"),
        "{text}"
    );
    assert_eq!(bed.module(&options, &[])["changed"], false);

    // A K3s that runs applies the policies that change.
    let mut controller = DeployController::start(root.join(MANIFESTS));
    assert_eq!(controller.pass(), ["policy.yaml"]);
    let mut changed = options.clone();
    changed["settings"]["ingress_to"] = json!(["default"]);
    assert_eq!(bed.module(&changed, &[])["changed"], true);
    assert_eq!(controller.pass(), ["policy.yaml"]);
    assert!(controller.is_up_to_date("policy.yaml"));

    let verified = bed.module(&json!({"root": root, "state": "verified"}), &[]);
    assert_eq!(
        (&verified["changed"], &verified["summary"]["fail"]),
        (&false.into(), &0.into()),
        "{verified}"
    );
    fs::remove_file(&drop_in).unwrap();
    let verified = bed.module(&json!({"root": root, "state": "verified"}), &[]);
    assert!(verified["msg"].as_str().unwrap().starts_with("controls are not met: "), "{verified}");
    assert_eq!(verified["exit_code"], 2);
    assert!(verified["report"].as_str().unwrap().contains("format_version"), "{verified}");
    let page = bed.module(
        &json!({"root": root, "state": "verified", "report_format": "html", "fail_on": "never", "benchmark": "1.11"}),
        &[],
    );
    assert!(page["report"].as_str().unwrap().starts_with("<!"), "{page}");
}

#[test]
#[ignore = "needs root, python3, PyPI and strip"]
fn ansibles_own_judges_find_nothing() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let begin = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    run(bed.command("ansible-lint").args(["--offline", "--nocolor", "."]).current_dir(bed.collection()));
    for file in ["site.yml", "install-k3s.yml", "inventory.example"] {
        fs::copy(Path::new("examples/ansible").join(file), folder.path().join(file)).unwrap();
    }
    run(bed
        .command("ansible-lint")
        .args(["--offline", "--nocolor", "--config-file"])
        .arg(bed.collection().join(".ansible-lint"))
        .args(["site.yml", "install-k3s.yml"])
        .current_dir(folder.path()));
    let hosts = run(bed
        .command("ansible-playbook")
        .args(["--inventory", "inventory.example", "--list-hosts", "site.yml"])
        .current_dir(folder.path()));
    assert!(String::from_utf8(hosts.stdout).unwrap().contains("agent-2.example.com"));
    println!("ansible-lint: {:.0} s", begin.elapsed().as_secs_f64());

    let begin = Instant::now();
    // It hands on no variables, so pip has to find in a file what they say; and pip itself where it would be loaded to.
    let home = bed.path("home");
    let cache = home.join(".ansible/test/cache");
    fs::create_dir_all(&cache).unwrap();
    fs::create_dir_all(home.join(".config/pip")).unwrap();
    let told = std::env::vars().filter_map(|(name, value)| {
        Some(format!("{} = {value}\n", name.strip_prefix("PIP_")?.to_lowercase().replace('_', "-")))
    });
    let configuration = home.join(".config/pip/pip.conf");
    fs::write(&configuration, format!("[global]\n{}", told.collect::<String>())).unwrap();
    // It may hold a password.
    fs::set_permissions(&configuration, fs::Permissions::from_mode(0o600)).unwrap();
    let source =
        run(Command::new("find").arg(bed.path("venv")).args(["-path", "*/_internal/python_requirements.py"]));
    let source = fs::read_to_string(String::from_utf8(source.stdout).unwrap().trim()).unwrap();
    let version = source.lines().find_map(|line| line.trim().strip_prefix("pip='")?.strip_suffix("',"));
    let version = version.expect("ansible-test says which pip it wants").replace('.', "_");
    fs::copy("tests/it/ansible/get_pip.py", cache.join(format!("get_pip_{version}.py"))).unwrap();
    let python = "import sys; print('%d.%d' % sys.version_info[:2])";
    let python = run(bed.command("python3").args(["-c", python])).stdout;
    // A copy, as it writes into the collection.
    let copy = folder.path().join("ansible_collections/k3sharden/k3s");
    fs::create_dir_all(copy.parent().unwrap()).unwrap();
    run(Command::new("cp").arg("-r").arg(bed.collection()).arg(&copy));
    run(bed
        .command("ansible-test")
        .args(["sanity", "--requirements", "--python", String::from_utf8(python).unwrap().trim()])
        .current_dir(&copy));
    println!("ansible-test sanity: {:.0} s", begin.elapsed().as_secs_f64());
}

#[test]
#[ignore = "needs root, python3, PyPI and strip"]
fn the_reports_of_all_hosts_are_merged_here_with_one_tag() {
    let _busy = turns::busy();
    let bed = Bed::make();
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    fs::create_dir(&reports).unwrap();
    fs::create_dir(folder.path().join("programs")).unwrap();
    let mut inventory = Inventory::new(&json!({
        "ansible_connection": "local",
        "k3s_harden_root": format!("{}/{{{{ inventory_hostname }}}}", folder.path().display()),
        "k3s_harden_binary": format!("{}/programs/{{{{ inventory_hostname }}}}", folder.path().display()),
        "k3s_harden_k3s_version": VERSION,
        "k3s_harden_report_dir": reports.to_str().unwrap(),
    }));
    for name in ["one", "two", "three"] {
        inventory =
            inventory.host(name, json!({"k3s_harden_role": if name == "one" { "server" } else { "agent" }}));
        fs::create_dir_all(folder.path().join(name).join("etc")).unwrap();
    }
    bed.play(&inventory, &[]).well();
    assert_eq!(fs::read_dir(&reports).unwrap().count(), 0, "without the tag nothing is collected");
    let before: Vec<_> = ["one", "two", "three"].map(|name| tree(&folder.path().join(name))).into();

    let play = bed.play(&inventory, &["--tags", "k3s_harden_report"]).well();
    for name in ["one", "two", "three"] {
        assert_eq!(play.count(name, "changed"), 0, "{}", play.text);
    }
    assert!(play.text.contains("on any of 3 nodes"), "{}", play.text);
    let merged = || -> Value {
        serde_json::from_str(&fs::read_to_string(reports.join("fleet-report.json")).unwrap()).unwrap()
    };
    let names = |merged: &Value| {
        let nodes = merged["nodes"].as_array().unwrap().iter();
        nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    let all = ["one", "three", "two"].map(str::to_owned).into();
    assert_eq!(names(&merged()), all);
    assert!(fs::read_to_string(reports.join("fleet-report.html")).unwrap().ends_with("</html>\n"));
    let after: Vec<_> = ["one", "two", "three"].map(|name| tree(&folder.path().join(name))).into();
    assert!(before == after, "nothing changes on a host");

    // One host fails, another one is worse than the last time.
    fs::remove_file(folder.path().join("programs/three")).unwrap();
    fs::write(folder.path().join("one").join(DROP_IN), "").unwrap();
    let play = bed.play(&inventory, &["--tags", "k3s_harden_report"]);
    assert_eq!(play.count("three", "failed"), 1, "{}", play.text);
    assert!(play.text.contains("no new report of: three"), "{}", play.text);
    let merged = merged();
    assert_eq!(names(&merged), all);
    assert!(
        merged["trend"]["worse"].as_array().unwrap().iter().any(|change| change["nodes"] == json!(["one"]))
    );
}
