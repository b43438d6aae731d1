//! An upstream in a process of its own, so that its memory and its work are none of what is measured.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tests::upstream::Upstream;

/// The versions `FIRST.0.0` to `LAST.0.0`.
pub(crate) fn versions(first: usize, last: usize) -> Vec<String> {
    (first..=last).map(|major| format!("{major}.0.0")).collect()
}

/// An upstream in a process of its own, which ends with this.
pub(crate) struct Feed {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
    /// The address of its service index.
    pub(crate) index: String,
}

impl Feed {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
        let child = Command::new(program).arg("--serve").stdin(stdin).stdout(stdout).spawn();
        let mut child = child.expect("another process");
        let answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut feed = Self { child, answers, index: String::new() };
        feed.index = feed.answer();
        feed
    }

    /// Publishes versions of `kit.0`, `kit.1` and so on.
    pub(crate) fn publish(&mut self, count: usize, first: usize, last: usize) {
        self.tell(&format!("publish {count} {first} {last}"));
    }

    /// From now on each answer waits that long.
    pub(crate) fn set_latency(&mut self, milliseconds: usize) {
        self.tell(&format!("latency {milliseconds}"));
    }

    /// How many requests were answered with 304 since this was last asked, or something was published.
    pub(crate) fn take_unchanged(&mut self) -> usize {
        self.tell("unchanged")
    }

    /// Gives a command to [`serve`].
    fn tell(&mut self, command: &str) -> usize {
        let commands = self.child.stdin.as_mut().expect("its input");
        writeln!(commands, "{command}").expect("a process that listens");
        self.answer().parse().expect("a number")
    }

    fn answer(&mut self) -> String {
        self.answers.next().expect("an answer").expect("text")
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Closes its input, at which it ends.
        self.child.wait().ok();
    }
}

/// Is an upstream until its input ends: tells where, then carries out commands and answers each with a
/// number.
pub(crate) async fn serve() {
    let upstream = Upstream::start();
    println!("{}", upstream.nuget_service_index());
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let (command, arguments) = line.split_once(' ').unwrap_or((&line, ""));
        let numbers: Vec<usize> =
            arguments.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let answer = match (command, &numbers[..]) {
            ("publish", &[count, first, last]) => {
                publish(&upstream, count, &versions(first, last)).await;
                0
            }
            ("latency", &[milliseconds]) => {
                upstream.set_latency(Duration::from_millis(milliseconds.try_into().expect("milliseconds")));
                0
            }
            ("unchanged", []) => {
                let requests = upstream.take_requests();
                requests.iter().filter(|asked| asked.status == Some(304)).count()
            }
            // Whoever waits for an answer is told by its end.
            _ => return,
        };
        println!("{answer}");
    }
}

/// Publishes, and reads each registration once, so that it is made before it is asked for.
async fn publish(upstream: &Upstream, count: usize, versions: &[String]) {
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
    for number in 0..count {
        upstream.publish(&format!("kit.{number}"), &versions);
        let url = format!("{}/v3/registration5-gz-semver2/kit.{number}/index.json", upstream.url());
        let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status);
        answer.expect("a registration").bytes().await.expect("all of it");
    }
    upstream.take_requests();
}
