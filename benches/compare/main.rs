// SPDX-License-Identifier: Apache-2.0
//! What k3s-harden costs, beside what else a person could run. `benches/compare.sh` builds what it needs, and starts it.
//!
//! All programs of a row run in turn in one process, because the speed of a machine drifts. A row gives the least and the
//! median time; the ratio is that of the least times, and the median of the ratios of the pairs. What must not grow is counted
//! elsewhere: instructions by benches/instructions, system calls by tests/it/converged.rs.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and runs programs")]

mod measure;
mod nodes;
mod others;
mod replay;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use measure::{Figures, Program, in_turn};
use nodes::{Node, TOLD, again, copy};

/// A row of the table: its name, what it is about, and how it is measured.
type Row = (&'static str, &'static str, fn(&Bench) -> Measured);

const ROWS: [Row; 11] = [
    ("converged", "`apply` on a node that is as desired", converged),
    ("first-apply", "The first `apply`, with its writes to the disk", first_apply),
    ("plan", "`plan` before the first apply", plan),
    ("preflight", "`preflight` of a hardened node", preflight),
    ("verify", "`verify`, the whole benchmark, before K3s has started", verify),
    ("verify-started", "`verify` after K3s has started, with a log of 50 MiB", verify_started),
    ("log-size", "`verify` by the size of the log", log_size),
    ("drop-ins", "`effective-config` by the number of drop-ins", drop_ins),
    ("file-size", "`effective-config` by the size of a configuration file", file_size),
    ("merge", "`report merge` by the number of nodes", merge),
    (
        "fleet",
        "Roots per second: 1 000 roots one after the other on each core, and Ansible with all cores",
        fleet,
    ),
];

/// What every row uses.
struct Bench {
    /// The binary that is measured, where an installer would have put it.
    binary: String,
    /// Where roots are made.
    folder: PathBuf,
    /// The programs of others; a row leaves out what is not there, and says so.
    ansible: Option<String>,
    kube_bench: Option<[String; 2]>,
    runs: usize,
}

/// What a row has measured.
enum Measured {
    /// The first is ours; the others stand beside it.
    Beside(Vec<Figures>, Vec<&'static str>),
    /// One program with n, 2n, 4n and 8n of something.
    Sizes(&'static str, Vec<(String, Figures)>),
    /// Something in a second.
    Rates(Vec<(&'static str, f64)>),
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(measure::RUNNER) => return measure::serve(&arguments[1..]),
        Some(replay::REPLAY) => return replay::replay(&arguments[1], &arguments[2]),
        _ => (),
    }
    // `cargo test --benches` calls benches too, with --test or without arguments.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing is timed: run it with benches/compare.sh");
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ROWS.iter().any(|(row, ..)| row == *name)) {
        let names: Vec<&str> = ROWS.iter().map(|(name, ..)| *name).collect();
        eprintln_exit(&format!("there is no row {unknown:?}: {}", names.join(", ")));
    }
    let made = tempfile::tempdir().expect("a directory for the roots");
    let bench = Bench::new(made.path());
    for (name, title, measure) in ROWS {
        if wanted.is_empty() || wanted.iter().any(|one| *one == name) {
            println!("### {title}\n\n{}", shown(&measure(&bench)));
        }
    }
}

#[allow(clippy::print_stderr, reason = "a bench prints")]
fn eprintln_exit(text: &str) {
    eprintln!("{text}");
    std::process::exit(64);
}

impl Bench {
    fn new(folder: &Path) -> Self {
        // As an installer puts it there: a linker leaves a file in the page cache in small pieces, and each is a fault.
        let installed = folder.join("k3s-harden");
        let built = env::var_os("BENCH_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_k3s-harden").into());
        fs::copy(built, &installed).expect("the binary can be copied");
        let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            binary: installed.to_str().expect("it is text").to_owned(),
            folder: folder.to_owned(),
            ansible: named("BENCH_ANSIBLE"),
            kube_bench: named("BENCH_KUBE_BENCH").zip(named("BENCH_KUBE_BENCH_CFG")).map(|(a, b)| [a, b]),
            runs: named("BENCH_RUNS").map_or(100, |runs| runs.parse().expect("BENCH_RUNS is a number")),
        }
    }

    /// Returns a directory of a row's own.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("the disk has room");
        folder
    }
}

fn ours(node: &Node, verb: &[&str]) -> Program {
    Program::new("k3s-harden", &node.words(verb))
}

fn nothing() -> Program {
    Program::new("/bin/true", &["/bin/true"])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is text")
}

fn converged(bench: &Bench) -> Measured {
    let folder = bench.folder("converged");
    let node = Node::hardened(folder.join("node"), &bench.binary);
    let files = others::guide(&folder, &bench.binary);
    let script = others::script(&folder, &files);
    let root = folder.join("scripted");
    fs::create_dir(&root).expect("the disk has room");
    let guide = Program::new("the guide as a script", &["bash", &script, text(&root)]);
    let all = in_turn(&[ours(&node, &["apply"]), nothing(), guide], bench.runs);
    fs::create_dir(folder.join("played")).expect("the disk has room");
    with_ansible(bench, &folder, &files, all, |program| program)
}

/// Adds what a playbook of Ansible takes on the root `played`, which `prepared` may make before each run.
fn with_ansible(
    bench: &Bench,
    folder: &Path,
    files: &[others::GuideFile],
    mut all: Vec<Figures>,
    prepared: impl FnOnce(Program) -> Program,
) -> Measured {
    let Some(ansible) = &bench.ansible else { return Measured::Beside(all, vec!["Ansible"]) };
    let [playbook, inventory] = others::playbook(folder, files, folder, &["played".to_owned()]);
    let program = Program::new("a playbook of Ansible", &[ansible, "-i", &inventory, &playbook]);
    all.extend(in_turn(&[prepared(program)], 3));
    Measured::Beside(all, Vec::new())
}

fn first_apply(bench: &Bench) -> Measured {
    let folder = bench.folder("first-apply");
    let kept = Node::make(folder.join("kept"), &bench.binary).root;
    let verb = [&["apply"], &TOLD[..]].concat();
    let fresh = |name: &str| {
        let (kept, root) = (kept.clone(), folder.join(name));
        (root.clone(), move || again(&kept, &root))
    };
    let (root, before) = fresh("node");
    before();
    let node = Node { root, binary: bench.binary.clone() };
    let list = folder.join("calls");
    fs::write(&list, replay::recorded(&node.words(&verb), &node.root)).expect("the disk has room");
    let applied = ours(&node, &verb).after(before);
    let this = env::current_exe().expect("this program has a path");
    let (root, before) = fresh("replayed");
    let name = "the same bytes and calls of fsync alone";
    let replayed = Program::new(name, &[text(&this), replay::REPLAY, text(&list), text(&root)]).after(before);
    let files = others::guide(&folder, &bench.binary);
    let script = others::script(&folder, &files);
    let (root, before) = fresh("scripted");
    let guide = Program::new("the guide as a script", &["bash", &script, text(&root)]).after(before);
    let all = in_turn(&[applied, replayed, guide], bench.runs);
    let (_, before) = fresh("played");
    with_ansible(bench, &folder, &files, all, |program| program.after(before))
}

fn plan(bench: &Bench) -> Measured {
    let node = Node::make(bench.folder("plan").join("node"), &bench.binary);
    let verb = [&["plan"], &TOLD[..]].concat();
    Measured::Beside(in_turn(&[ours(&node, &verb), nothing()], bench.runs), Vec::new())
}

fn preflight(bench: &Bench) -> Measured {
    let node = Node::hardened(bench.folder("preflight").join("node"), &bench.binary);
    Measured::Beside(in_turn(&[ours(&node, &["preflight"]), nothing()], bench.runs), Vec::new())
}

fn verify(bench: &Bench) -> Measured {
    let node = Node::hardened(bench.folder("verify").join("node"), &bench.binary);
    let program = ours(&node, &["verify"]).exits_with(&[0, 2]);
    Measured::Beside(in_turn(&[program, nothing()], bench.runs), Vec::new())
}

fn verify_started(bench: &Bench) -> Measured {
    let folder = bench.folder("verify-started");
    let (node, log) = Node::started(folder.join("node"), &bench.binary, 50 << 20);
    let program = ours(&node, &["verify", "--journal", &log]).exits_with(&[0, 2]);
    let Some([kube_bench, configuration]) = &bench.kube_bench else {
        return Measured::Beside(in_turn(&[program, nothing()], 20.min(bench.runs)), vec!["kube-bench"]);
    };
    let script = others::kube_bench(&folder, kube_bench, configuration, &node, &log);
    let scanner = Program::new("kube-bench", &["bash", &script]);
    Measured::Beside(in_turn(&[program, scanner], 5.min(bench.runs)), Vec::new())
}

fn log_size(bench: &Bench) -> Measured {
    let folder = bench.folder("log-size");
    let sizes = [8, 16, 32, 64].map(|mebibytes| {
        let (node, log) =
            Node::started(folder.join(format!("node-{mebibytes}")), &bench.binary, mebibytes << 20);
        (format!("{mebibytes} MiB"), ours(&node, &["verify", "--journal", &log]).exits_with(&[0, 2]))
    });
    by_size("log", sizes, bench)
}

fn drop_ins(bench: &Bench) -> Measured {
    let folder = bench.folder("drop-ins");
    let sizes = [250, 500, 1000, 2000].map(|count| {
        let node = Node::make(folder.join(format!("node-{count}")), &bench.binary);
        for at in 0..count {
            let path = format!("etc/rancher/k3s/config.yaml.d/50-{at:04}.yaml");
            node.write(&path, &format!("node-label+:\n  - number-{at}={at}\n"));
        }
        (count.to_string(), ours(&node, &["effective-config", "--k3s-version", "1.37"]))
    });
    by_size("drop-ins", sizes, bench)
}

fn file_size(bench: &Bench) -> Measured {
    let folder = bench.folder("file-size");
    let sizes = [1280, 2560, 5120, 10240].map(|kibibytes| {
        let node = Node::make(folder.join(format!("node-{kibibytes}")), &bench.binary);
        let mut text = "node-label:\n".to_owned();
        let mut at = 0;
        while text.len() < kibibytes << 10 {
            text += &format!("  - example.com/a-label-with-a-number-{at}=value-{at}\n");
            at += 1;
        }
        node.write("etc/rancher/k3s/config.yaml.d/50-large.yaml", &text);
        (format!("{kibibytes} KiB"), ours(&node, &["effective-config", "--k3s-version", "1.37"]))
    });
    by_size("file", sizes, bench)
}

fn merge(bench: &Bench) -> Measured {
    let folder = bench.folder("merge");
    let node = Node::hardened(folder.join("node"), &bench.binary);
    let report =
        String::from_utf8(node.run(&["verify", "--format", "json", "--node", "node-name"])).expect("JSON");
    let sizes = [125, 250, 500, 1000].map(|count| {
        let reports = folder.join(count.to_string());
        fs::create_dir(&reports).expect("the disk has room");
        for at in 0..count {
            let text = report.replace("node-name", &format!("node-{at:04}"));
            fs::write(reports.join(format!("{at:04}.json")), text).expect("the disk has room");
        }
        let files = format!("exec {} report merge {}/*.json", bench.binary, reports.display());
        (count.to_string(), Program::new("k3s-harden", &["sh", "-c", &files]).exits_with(&[0, 2]))
    });
    by_size("nodes", sizes, bench)
}

/// Runs one program with n, 2n, 4n and 8n of something.
fn by_size(what: &'static str, sizes: [(String, Program); 4], bench: &Bench) -> Measured {
    let (names, programs): (Vec<String>, Vec<Program>) = sizes.into_iter().unzip();
    Measured::Sizes(what, names.into_iter().zip(in_turn(&programs, 10.min(bench.runs))).collect())
}

fn fleet(bench: &Bench) -> Measured {
    const ROOTS: usize = 1000;
    const HOSTS: usize = 20;
    let folder = bench.folder("fleet");
    let kept = Node::make(folder.join("kept"), &bench.binary).root;
    let names = |kind: &str, count: usize| -> Vec<String> {
        (0..count).map(|at| format!("{kind}-{at:04}")).collect()
    };
    let make = |names: &[String]| names.iter().for_each(|name| copy(&kept, &folder.join(name)));
    let roots = names("root", ROOTS);
    make(&roots);
    let list = folder.join("roots");
    fs::write(&list, roots.join("\n")).expect("the disk has room");
    let apply = format!(
        "xargs -P \"$(nproc)\" -I '{{}}' {} apply -q {} --root {}/'{{}}' < {}",
        bench.binary,
        TOLD.join(" "),
        folder.display(),
        list.display()
    );
    let timed = |words: &[&str], count: usize| {
        let begun = Instant::now();
        let output = std::process::Command::new(words[0]).args(&words[1..]).output().expect("it starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
        #[allow(clippy::cast_precision_loss, reason = "it is small")]
        let count = count as f64;
        count / begun.elapsed().as_secs_f64()
    };
    let first = timed(&["sh", "-c", &apply], ROOTS);
    let second = timed(&["sh", "-c", &apply], ROOTS);
    let mut rates = vec![("k3s-harden, the first apply", first), ("k3s-harden, converged", second)];
    if let Some(ansible) = &bench.ansible {
        let files = others::guide(&folder, &bench.binary);
        let hosts = names("host", HOSTS);
        make(&hosts);
        let [playbook, inventory] = others::playbook(&folder, &files, &folder, &hosts);
        let words = [ansible.as_str(), "-f", "20", "-i", &inventory, &playbook];
        rates.push(("Ansible (20 roots), the first run", timed(&words, HOSTS)));
        rates.push(("Ansible (20 roots), converged", timed(&words, HOSTS)));
    }
    Measured::Rates(rates)
}

/// Returns a row as a table in Markdown.
fn shown(measured: &Measured) -> String {
    let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    let mut lines = Vec::new();
    match measured {
        Measured::Beside(all, missing) => {
            lines.push(
                "| program | least | median | processor | page faults | memory | k3s-harden against it |"
                    .to_owned(),
            );
            lines.push("|---|--:|--:|--:|--:|--:|--:|".to_owned());
            for (at, figures) in all.iter().enumerate() {
                let ratio = if at == 0 { String::new() } else { all[0].ratio(figures).to_string() };
                lines.push(format!("| {} | {} | {ratio} |", figures.name, columns(figures, ms)));
            }
            lines.extend(missing.iter().map(|name| format!("\nNot measured: {name} is not installed.")));
        }
        Measured::Sizes(what, sizes) => {
            lines.push(format!("| {what} | least | median | processor | page faults | memory |"));
            lines.push("|---|--:|--:|--:|--:|--:|".to_owned());
            lines
                .extend(sizes.iter().map(|(size, figures)| format!("| {size} | {} |", columns(figures, ms))));
        }
        Measured::Rates(rates) => {
            lines.push("| program | roots per second |\n|---|--:|".to_owned());
            lines.extend(rates.iter().map(|(name, rate)| format!("| {name} | {rate:.1} |")));
        }
    }
    lines.join("\n") + "\n"
}

fn columns(figures: &Figures, ms: impl Fn(Duration) -> String) -> String {
    #[allow(clippy::cast_precision_loss, reason = "it is small")]
    let memory = figures.median(|run| run.memory_kib) as f64 / 1024.0;
    format!(
        "{} | {} | {} | {} | {memory:.1} MiB",
        ms(figures.least(|run| run.time)),
        ms(figures.median(|run| run.time)),
        ms(figures.median(|run| run.processor)),
        figures.median(|run| run.faults),
    )
}
