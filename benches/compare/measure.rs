// SPDX-License-Identifier: Apache-2.0
//! Runs programs in turn, and counts what each run takes: time, time of the processor, page faults and memory.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

/// The argument with which this program starts itself to run another one: see [`serve`].
pub(crate) const RUNNER: &str = "--runner";

/// A program that is measured.
pub(crate) struct Program {
    /// What the table calls it.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    /// The exit codes with which a run counts.
    pub(crate) codes: &'static [i32],
    /// What has to be done before each run.
    pub(crate) before: Option<Box<dyn Fn()>>,
}

impl Program {
    pub(crate) fn new(name: impl Into<String>, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { name: name.into(), words, codes: &[0], before: None }
    }

    pub(crate) fn exits_with(self, codes: &'static [i32]) -> Self {
        Self { codes, ..self }
    }

    pub(crate) fn after(self, before: impl Fn() + 'static) -> Self {
        Self { before: Some(Box::new(before)), ..self }
    }
}

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) time: Duration,
    pub(crate) processor: Duration,
    pub(crate) faults: u64,
    pub(crate) memory_kib: u64,
}

/// What the runs of one program took.
pub(crate) struct Figures {
    pub(crate) name: String,
    pub(crate) runs: Vec<Run>,
}

impl Figures {
    /// Returns the least of something.
    pub(crate) fn least<T: Ord>(&self, of: impl Fn(&Run) -> T) -> T {
        self.runs.iter().map(of).min().expect("there are runs")
    }

    /// Returns the median of something.
    pub(crate) fn median<T: Ord + Copy>(&self, of: impl Fn(&Run) -> T) -> T {
        let mut all: Vec<T> = self.runs.iter().map(of).collect();
        all.sort_unstable();
        all[all.len() / 2]
    }

    /// Returns how many times longer than `other` it takes: by the least times, and the median of the pairs of runs.
    pub(crate) fn ratio(&self, other: &Self) -> Ratio {
        let seconds = |run: &Run| run.time.as_secs_f64();
        let pairs = self.runs.iter().zip(&other.runs);
        let mut ratios: Vec<f64> = pairs.map(|(ours, theirs)| seconds(ours) / seconds(theirs)).collect();
        ratios.sort_by(f64::total_cmp);
        let least = |figures: &Self| figures.least(|run| run.time).as_secs_f64();
        Ratio { least: least(self) / least(other), median: ratios[ratios.len() / 2] }
    }
}

/// How many times longer one program takes than another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    least: f64,
    median: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one =
            |ratio: f64| if ratio < 0.1 { format!("1/{:.0}", 1.0 / ratio) } else { format!("{ratio:.2}") };
        write!(f, "{}, {}", one(self.least), one(self.median))
    }
}

/// Runs programs in turn, because the speed of a machine drifts. Each runs `runs` times, after one run that does not count.
pub(crate) fn in_turn(programs: &[Program], runs: usize) -> Vec<Figures> {
    let mut runners: Vec<Runner> = programs.iter().map(|program| Runner::start(&program.words)).collect();
    let mut all: Vec<Figures> =
        programs.iter().map(|program| Figures { name: program.name.clone(), runs: Vec::new() }).collect();
    for number in 0..=runs {
        for ((program, runner), figures) in programs.iter().zip(&mut runners).zip(&mut all) {
            program.before.iter().for_each(|before| before());
            let (code, run) = runner.run();
            assert!(program.codes.contains(&code), "{:?} exits with {code}", program.words);
            if number > 0 {
                figures.runs.push(run);
            }
        }
    }
    all
}

/// A process that runs one program again and again. It is small: the kernel counts the memory of a process that starts a
/// program as the program's.
struct Runner {
    process: Child,
    ask: Option<ChildStdin>,
    answer: BufReader<ChildStdout>,
}

impl Runner {
    fn start(words: &[String]) -> Self {
        let this = std::env::current_exe().expect("this program has a path");
        let mut command = Command::new(this);
        command.arg(RUNNER).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program starts");
        let ask = process.stdin.take();
        let answer = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Self { process, ask, answer }
    }

    /// Runs the program once; returns its exit code, and what it took.
    fn run(&mut self) -> (i32, Run) {
        self.ask.as_mut().expect("it is open").write_all(b"\n").expect("it reads");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("it answers");
        let words: Vec<u64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [code, time, processor, faults, memory_kib] = words[..] else { panic!("{line:?}") };
        let [time, processor] = [time, processor].map(Duration::from_nanos);
        (i32::try_from(code).expect("a code"), Run { time, processor, faults, memory_kib })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.ask = None;
        self.process.wait().expect("it ends");
    }
}

/// Runs a program once for each line of stdin, and answers with its exit code, the time that it took and that it had the
/// processor (in ns), its page faults and the most memory that any run has had (in KiB).
pub(crate) fn serve(words: &[String]) {
    for line in std::io::stdin().lock().lines() {
        line.expect("stdin can be read");
        let used = || getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
        let processor = |usage: &nix::sys::resource::Usage| {
            let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
            micros(usage.user_time()) + micros(usage.system_time())
        };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (before, begun) = (used(), Instant::now());
        let status = command.status().expect("the program starts");
        let (time, after) = (begun.elapsed(), used());
        println!(
            "{} {} {} {} {}",
            status.code().unwrap_or(255),
            time.as_nanos(),
            (processor(&after) - processor(&before)) * 1000,
            after.minor_page_faults() - before.minor_page_faults(),
            after.max_rss(),
        );
    }
}
