// SPDX-License-Identifier: Apache-2.0
//! The unit and the gate under systemd itself: each row of the table in docs/GATE.md, a binary at an odd path, and a unit or a
//! binary that is gone.

use std::fs;

use super::bed::Release;
use super::boot::{Boot, BootRecipe};
use crate::support::exit_table::{Ending, ExitRow, exit_table};
use crate::support::turns;

/// A path that systemd and a shell read as it is only if it is quoted for both.
const ODD_PATH: &str = "/opt/50% of $HOME; `id` #*\u{e4}/k3s-harden";
/// What ends a boot before K3s is there: nothing of the table is tried yet.
const SAFE: &str = "exec sleep infinity";

/// Tries one row: `$1` what is tried, `$2` the name of the stand-in, `$3` how it ends the other verb. Notes what became of both
/// units, and what is in the journal.
const TRY: &str = r#"
systemctl disable k3s-harden 2> /dev/null
printf '#!/bin/sh\nexec sleep infinity\n' > /usr/local/bin/k3s
for unit in k3s k3s-harden; do
  mkdir -p /run/systemd/system/$unit.service.d
done
settled() {
  while state=$(systemctl is-active k3s-harden); [ "$state" = deactivating ]; do sleep 0.02; done
}
try() {
  systemctl stop k3s k3s-harden
  systemctl reset-failed
  rm -f "$program"
  if [ -e "/stubs/$2" ]; then cp -p "/stubs/$2" "$program"; fi
  seconds=infinity
  if [ "$2" = timeout ]; then seconds=1; fi
  for unit in k3s k3s-harden; do
    printf '[Service]\nTimeoutStartSec=%s\n' "$seconds" > "/run/systemd/system/$unit.service.d/90-time.conf"
  done
  systemctl daemon-reload
  since=$(date +%s.%6N)
  systemctl start k3s
  settled
  if [ "$(systemctl show --property=SubState k3s)" = SubState=running ]; then k3s=started; else k3s=not; fi
  echo "$1 $2 $k3s $state" >> /out/table
  journalctl --sync
  journalctl --quiet --since="@$since" -o cat -p warning -u k3s -u k3s-harden > "/out/log-$1-$2"
}
"#;

fn name(ending: Ending) -> String {
    match ending {
        Ending::Code(code) => code.to_string(),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Boots a node on which each row is tried.
fn tried(release: Release, rows: &[ExitRow]) -> Boot {
    let mut prepare = format!(
        "cp -p '{ODD_PATH}' /tmp/real; mkdir /stubs; printf '#!/bin/sh\\n{SAFE}\\n' > /usr/local/bin/k3s\n"
    );
    let mut end = format!("program='{ODD_PATH}'\n{TRY}");
    // The gate is asked with the unit disabled, and the unit with a gate that lets everything pass.
    for row in rows {
        if let Some((bytes, mode)) = row.ending.program() {
            let octal: String = bytes.iter().map(|byte| format!("\\\\{byte:03o}")).collect();
            let (name, octal) = (name(row.ending), octal.replace("\\\\", "\\"));
            prepare += &format!("printf '{octal}' > /stubs/{name}; chmod {mode:o} /stubs/{name}\n");
        }
        end += &format!("try gate {}\n", name(row.ending));
    }
    end += "systemctl enable k3s-harden\nmv /etc/systemd/system/k3s.service.d /etc/systemd/system/none.d\n";
    for row in rows {
        end += &format!("try unit {}\n", name(row.ending));
    }
    // A K3s that runs is not stopped by a run that fails, and a unit that is asked often is not left out.
    end += "try unit 0
        cp -p /stubs/1 \"$program\"; systemctl restart k3s-harden; settled
        echo \"running 1 $(systemctl is-active k3s) $(systemctl is-active k3s-harden)\" >> /out/table
        systemctl stop k3s
        mv /etc/systemd/system/none.d /etc/systemd/system/k3s.service.d; systemctl daemon-reload
        for count in 1 2 3 4 5 6 7 8; do
          systemctl start k3s
          systemctl is-active k3s >> /out/often
        done
        settled; systemctl stop k3s
        echo \"often 1 $(systemctl is-active k3s) $(systemctl is-active k3s-harden)\" >> /out/table
        cp -p /stubs/0 \"$program\"; systemctl start k3s
        echo \"mended 0 $(systemctl is-active k3s) $(systemctl is-active k3s-harden)\" >> /out/table
        systemctl stop k3s k3s-harden
        cp -p /stubs/1 \"$program\"; systemctl start k3s; settled; systemctl disable k3s-harden; systemctl start k3s
        echo \"disabled 1 $(systemctl is-active k3s) $(systemctl is-active k3s-harden)\" >> /out/table
        systemctl stop k3s; systemctl enable k3s-harden; systemctl start k3s; settled
        echo \"enabled 1 $(systemctl is-active k3s) $(systemctl is-active k3s-harden)\" >> /out/table
        mv /etc/systemd/system/k3s-harden.service /tmp/; systemctl daemon-reload; systemctl start k3s
        echo \"gone 1 $(systemctl is-active k3s)\" >> /out/table
        mv /tmp/k3s-harden.service /etc/systemd/system/; systemctl daemon-reload; systemctl stop k3s\n";
    Boot::with(&BootRecipe { release, prepare, binary: ODD_PATH, end: &end })
}

#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn systemd_does_what_the_manual_says_on_each_exit_code() {
    let _busy = turns::busy();
    let rows = exit_table();
    assert!(rows.len() >= 18, "the table of the manual was not read");
    for release in [Release::Bookworm, Release::Trixie] {
        let boot = tried(release, &rows);
        let read = |name: &str| fs::read_to_string(boot.out.path().join(name)).unwrap();
        let table = read("table");
        let mut expected = String::new();
        for (kind, rows) in [("gate", &rows), ("unit", &rows)] {
            for row in rows {
                let gate = kind == "gate";
                let starts = if gate { row.gate_starts } else { row.unit_starts };
                let k3s = if starts { "started" } else { "not" };
                let state = if gate { "inactive" } else { &row.state };
                expected += &format!("{kind} {} {k3s} {state}\n", name(row.ending));
            }
        }
        expected += "unit 0 started active\nrunning 1 active failed\noften 1 inactive failed\nmended 0 active active\n\
            disabled 1 active failed\nenabled 1 inactive failed\ngone 1 active\n";
        assert_eq!(table, expected, "{release:?}: {}", boot.journal);
        // Also not where a start is asked for in the moment in which the unit fails: there the gate refuses.
        let often = read("often");
        assert!(often.lines().count() == 8 && !often.lines().any(|line| line == "active"), "{often}");
        for row in &rows {
            let name = name(row.ending);
            let (gate, unit) = (read(&format!("log-gate-{name}")), read(&format!("log-unit-{name}")));
            let cannot_run = |log: &str| {
                let line = log.lines().find(|line| line.starts_with(&format!("{ODD_PATH} cannot be run")));
                line.is_some_and(|line| line.contains("Install k3s-harden there"))
            };
            match row.ending {
                Ending::Code(0) => assert_eq!(gate + &unit, "", "{name}"),
                Ending::Code(126 | 127) | Ending::Missing | Ending::NotExecutable | Ending::OtherMachine => {
                    assert!(cannot_run(&gate) && cannot_run(&unit), "{name}: {gate}{unit}");
                }
                Ending::Code(2) => assert!(unit.contains("k3s is not started. Mend"), "{name}: {unit}"),
                Ending::Code(5) => assert_eq!(unit, "", "{name}"),
                Ending::Timeout => assert!(unit.contains("apply failed (timeout, "), "{name}: {unit}"),
                Ending::Code(_) | Ending::Killed => {
                    assert!(
                        gate.contains(&format!("{ODD_PATH} preflight ended with ")),
                        "{name}: {gate}{}{}",
                        read("end.log"),
                        boot.journal
                    );
                    assert!(unit.contains("k3s is not started. Mend"), "{name}: {unit}");
                    assert!(unit.contains(&format!("{ODD_PATH} apply failed (")), "{name}: {unit}");
                }
            }
        }
    }
}

/// The unit that the packages hold knows no role: it calls off the start of the service that is there, on a server and on an
/// agent, and says nothing of the other one.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn the_unit_of_the_packages_calls_off_the_start_of_the_service_that_is_there() {
    let _busy = turns::busy();
    let unit = fs::read_to_string("packaging/k3s-harden.service").unwrap();
    for (release, service, other) in
        [(Release::Bookworm, "k3s", "k3s-agent"), (Release::Trixie, "k3s-agent", "k3s")]
    {
        // Without the drop-in: what keeps K3s from starting is the unit.
        let prepare = format!(
            "cd /etc/systemd/system
             systemctl --quiet disable k3s k3s-harden
             rm -r k3s.service.d
             [ {service} = k3s ] || mv k3s.service {service}.service
             cat > k3s-harden.service <<'END'\n{unit}END
             printf '#!/bin/sh\\nexit 1\\n' > /usr/bin/k3s-harden
             systemctl --quiet enable {service} k3s-harden"
        );
        let boot = Boot::with(&BootRecipe { release, prepare, binary: "/usr/bin/k3s-harden", end: "" });
        let journal = &boot.journal;
        let harden = boot.unit("k3s-harden");
        assert!(!boot.started(), "{service}: {journal}");
        assert_eq!(
            (harden["ActiveState"].as_str(), harden["ExecMainStatus"].as_str()),
            ("failed", "1"),
            "{journal}"
        );
        assert!(harden["ExecStopPost"].contains("status=0"), "{service}: {harden:?}");
        assert!(
            journal.contains(&format!("apply failed (exit-code, 1): {service} is not started. Mend")),
            "{service}: {journal}"
        );
        assert!(!journal.contains(&format!("{other} is not started")), "{service}: {journal}");
        assert!(!journal.contains(&format!("{other}.service")), "{service}: {journal}");
    }
}

/// The real program at a path of its own: the unit and the gate run it, at a boot.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn the_program_is_run_wherever_it_is() {
    let _busy = turns::busy();
    let recipe = |release| BootRecipe { release, prepare: String::new(), binary: ODD_PATH, end: "" };
    for release in [Release::Bookworm, Release::Trixie] {
        let boot = Boot::with(&recipe(release));
        assert!(boot.started(), "{}", boot.journal);
        assert_eq!(boot.unit("k3s-harden")["ActiveState"], "active", "{}", boot.journal);
        assert!(boot.out.path().join("seen/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml").exists());
        assert!(boot.journal.contains("K3s starts."), "{}", boot.journal);
    }
}

/// What is removed without being disabled first.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn k3s_starts_once_the_unit_or_the_program_is_gone() {
    let _busy = turns::busy();
    for (removed, line) in [
        ("/etc/systemd/system/k3s-harden.service", "K3s starts."),
        ("/usr/local/bin/k3s-harden", "/usr/local/bin/k3s-harden cannot be run"),
        ("/etc/systemd/system/k3s-harden.service /usr/local/bin/k3s-harden", "cannot be run (exit code 127)"),
    ] {
        for release in [Release::Bookworm, Release::Trixie] {
            let boot = Boot::of(release, &format!("rm {removed}"));
            assert!(boot.started(), "{removed}: {}", boot.journal);
            assert!(boot.journal.contains(line), "{removed}: {}", boot.journal);
        }
    }
}

/// Units that an older version rendered go on as they were: with the file gone K3s does not start, which is why `RequiredBy=` is
/// no longer there, and `reenable` takes the old link away.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn a_unit_of_an_older_version_still_works_and_its_link_is_replaced() {
    let _busy = turns::busy();
    let old = "sed -i -e '/^ExecStopPost/,/k3s.service.$/d' -e 's/^WantedBy=.*/WantedBy=multi-user.target\\nRequiredBy=k3s.service/' \
        /etc/systemd/system/k3s-harden.service
        cp -r /etc/systemd/system/k3s-harden.service /root/old.service
        grep -c ExecStopPost /etc/systemd/system/k3s-harden.service && exit 1
        systemctl --quiet reenable k3s-harden
        test -L /etc/systemd/system/k3s.service.requires/k3s-harden.service";
    let drop_in = "/etc/rancher/k3s/config.yaml.d/90-k3s-harden.yaml";
    let boot = Boot::of(Release::Trixie, old);
    assert!(boot.started(), "{}", boot.journal);
    let boot = Boot::of(Release::Trixie, &format!("{old}\nmkdir -p {drop_in}"));
    assert!(!boot.started(), "{}", boot.journal);
    let gone = format!("{old}\nrm /etc/systemd/system/k3s-harden.service");
    let boot = Boot::of(Release::Trixie, &gone);
    assert!(!boot.started(), "{}", boot.journal);
    let again = "cp /etc/systemd/system/k3s-harden.service /root/new.service";
    let renewed = format!(
        "{again}\n{old}\ncp /root/new.service /etc/systemd/system/k3s-harden.service
         systemctl --quiet reenable k3s-harden
         rm /etc/systemd/system/k3s-harden.service"
    );
    let boot = Boot::of(Release::Trixie, &renewed);
    assert!(boot.started(), "{}", boot.journal);
}

/// A mount that the unit needs and that fails: systemd runs neither the unit nor K3s.
#[test]
#[ignore = "needs root, unshare, mmdebstrap and systemd-nspawn"]
fn where_a_mount_of_the_unit_fails_k3s_is_not_started() {
    let _busy = turns::busy();
    let mount = "printf '[Mount]\\nWhat=/dev/no-such-disk\\nWhere=/var/lib/rancher\\nType=ext4\\n' \
        > /etc/systemd/system/var-lib-rancher.mount
        mkdir -p /etc/systemd/system/dev-no\\\\x2dsuch\\\\x2ddisk.device.d
        printf '[Unit]\\nJobTimeoutSec=1\\n' > /etc/systemd/system/dev-no\\\\x2dsuch\\\\x2ddisk.device.d/1.conf";
    let boot = Boot::of(Release::Trixie, mount);
    assert!(!boot.started(), "{}", boot.journal);
    assert_eq!(boot.unit("k3s-harden")["ActiveState"], "inactive", "{}", boot.journal);
    assert!(boot.journal.contains("Dependency failed for k3s.service"), "{}", boot.journal);
}
