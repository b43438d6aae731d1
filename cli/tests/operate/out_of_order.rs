//! Dead letters in queues that are as bad as SQS allows: nothing is lost, nothing is told that is not so, and all is
//! done or it is told that it is not.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::CommandOutput;
use super::standard_queues::{DEAD, POISON, Planned, SOURCE, StandardQueues};

const HOUR: Duration = Duration::from_hours(1);

/// A message of a later version, which is told apart by its reason.
const MEANT: &str = r#"{"version":2}"#;

/// Queues with so many dead letters, of which each `nth` is meant by `--reason newer`.
fn filled(letters: usize, nth: usize) -> StandardQueues {
    let queues = StandardQueues::start(fastrand::u64(..));
    for number in 0..letters {
        let body =
            if number % nth == 0 { format!("{MEANT}{}", " ".repeat(number)) } else { number.to_string() };
        queues.state().send(DEAD, &body, HOUR);
    }
    queues
}

fn meant(bodies: &[String]) -> usize {
    bodies.iter().filter(|body| body.starts_with(MEANT)).count()
}

#[test]
fn what_shows_again_while_it_is_worked_on_is_recognised() {
    for command in [&["purge", "--yes"][..], &["replay", "--rate", "0"]] {
        let queues = filled(1500, 20);
        queues.state().latency = Duration::from_millis(2);
        let pause = Planned::Pause(Duration::from_millis(2500));
        queues.state().planned = vec![("ReceiveMessage", 60, pause), ("ReceiveMessage", 150, pause)];
        let arguments = [&["dlq"], command, &["--reason", "newer", "--hide", "2", "--json"]].concat();
        let ended = queues.run(&arguments);
        let told = ended.json();
        let mut state = queues.state();
        let (dead, source) = (state.bodies(DEAD), state.bodies(SOURCE));
        assert_eq!((dead.len(), meant(&dead)), (1425, 0), "{ended:?}");
        assert_eq!(state.hidden(DEAD), 0, "all were put back");
        assert_eq!((ended.code, &told["complete"]), (Some(0), &true.into()), "{ended:?}");
        if command[0] == "purge" {
            assert_eq!((&told["deleted"], source.len()), (&75.into(), 0));
        } else {
            assert_eq!((&told["moved"], source.len()), (&75.into(), 75), "each once");
            assert_eq!(told["undeleted"], 0);
        }
    }
}

/// SQS says the same of both.
#[test]
fn what_was_deleted_too_late_is_not_told_to_be_deleted() {
    let late = Duration::from_millis(2500);
    for planned in [Planned::Pause(late), Planned::Steal(late)] {
        let queues = filled(300, 3);
        queues.state().planned = vec![("DeleteMessageBatch", 5, planned)];
        let ended = queues.run(&["dlq", "purge", "--yes", "--reason", "newer", "--hide", "2", "--json"]);
        let (told, left) = (ended.json(), meant(&queues.state().bodies(DEAD)));
        let (deleted, undeleted) = (told["deleted"].as_u64().unwrap(), told["undeleted"].as_u64().unwrap());
        let is_stolen = matches!(planned, Planned::Steal(_));
        assert!(deleted <= 100 - left as u64 && (left > 0) == is_stolen, "{told} {left}");
        assert_eq!((ended.code, undeleted > 0), (Some(1), true), "{told}");
        assert_eq!(told["complete"], !is_stolen);
    }
}

#[test]
fn what_cannot_be_seen_is_told() {
    let queues = filled(1000, 2);
    queues.state().hidden_max = 300;
    let ended = queues.run(&["dlq", "list", "--max", "5000", "--json"]);
    assert_eq!((ended.code, ended.json()["complete"].as_bool()), (Some(1), Some(false)));
    let ended = queues.run(&["dlq", "replay", "--reason", "newer", "--rate", "0"]);
    ended.failed(1, "did not show");
    let mut state = queues.state();
    assert_eq!(meant(&state.bodies(DEAD)) + state.bodies(SOURCE).len(), 500, "nothing is lost");
    assert_eq!(state.hidden(DEAD), 0);
    drop(state);
    queues.state().hidden_max = 120_000;
    queues.run(&["dlq", "replay", "--reason", "newer", "--rate", "0"]).ok();
    assert_eq!(queues.state().bodies(SOURCE).len(), 500);
}

#[test]
fn counts_are_not_believed() {
    let queues = filled(30, 1);
    queues.state().count = Some(0);
    assert_eq!(queues.run(&["dlq", "list", "--json"]).json()["letters"].as_array().unwrap().len(), 30);
    let ended = queues.run(&["dlq", "purge", "--yes"]);
    assert!(ended.ok().starts_with("deleted all"));
    assert_eq!(queues.state().bodies(DEAD).len(), 0);
    // Too high, they are told of, since that cannot be told from what others hide.
    queues.state().count = Some(7);
    queues.run(&["dlq", "list"]).failed(1, "about 14 did not show");
}

#[test]
fn a_question_hides_nothing() {
    let queues = filled(10, 2);
    let asked = queues.run(&["dlq", "purge", "--reason", "NEWER", "--older-than", "5m"]);
    let question =
        "of results that are older than 5m that have \"newer\" in their reason, of about 10, for good?";
    asked.failed(2, question);
    assert!(!queues.state().calls.contains(&"ReceiveMessage".to_owned()));
}

#[test]
fn one_letter_is_looked_for_to_the_end() {
    let queues = filled(2500, 2500);
    let id = queues.state().ids(DEAD)[0].clone();
    for seed in 0..3 {
        let shown = queues.run(&["dlq", "show", &id]).ok();
        assert!(shown.contains(&id) && shown.contains(&format!("received  {} times", seed + 1)), "{shown}");
        // Whether it is among the first thousand is a matter of luck.
        queues.state().planned.clear();
    }
    queues.run(&["dlq", "show", "no-such-id"]).failed(3, "no such dead letter");
    let listed = queues.run(&["dlq", "list", "--repo", "acme/none"]);
    assert!(listed.stderr.contains("1000 of about 2500 were looked at"), "{listed:?}");
    let none = "no such dead letters of results among the 1000 that were looked at\n";
    assert_eq!(listed.ok(), none);
    queues.run(&["dlq", "show", "--repo", "acme/none"]).failed(1, "among the 1000 that were looked at");
}

#[test]
fn what_comes_back_is_left_alone_whatever_the_clocks_say() {
    for minutes in [-10, 0, 10] {
        let queues = StandardQueues::start(7);
        queues.state().ahead = minutes * 60_000;
        for _ in 0..3 {
            // The same again and again, as killed replays leave them.
            queues.state().send(DEAD, "good", Duration::from_millis(100));
            for number in 0..20 {
                queues.state().send(DEAD, &format!("{POISON} {number}"), HOUR);
            }
        }
        let ended = queues.run(&["dlq", "replay", "--rate", "0", "--json"]);
        let told = ended.json();
        assert_eq!((&told["moved"], &told["complete"]), (&63.into(), &true.into()), "{minutes}: {ended:?}");
        assert_eq!(told["arrived"], 60);
        let mut state = queues.state();
        assert_eq!((state.bodies(DEAD).len(), state.bodies(SOURCE).len()), (60, 3));
    }
}

#[test]
fn a_stall_is_not_made_up_for() {
    let queues = filled(60, 1);
    let stall = Planned::Pause(Duration::from_millis(2500));
    queues.state().planned = vec![("ReceiveMessage", 4, stall), ("SendMessageBatch", 6, stall)];
    let ended = queues.run(&["dlq", "replay", "--rate", "40", "--json"]);
    assert_eq!(ended.json()["moved"], 60, "{ended:?}");
    let sends = &queues.state().sends;
    // Of the stalled one it is not known when it was sent, but that was long before.
    for pair in sends.windows(2).enumerate().filter(|(at, _)| *at != 6).map(|(_, pair)| pair) {
        let [(before, count), (after, _)] = pair else { unreachable!() };
        let least = Duration::from_millis(25) * u32::try_from(*count).unwrap();
        assert!(*after - *before + Duration::from_millis(5) >= least, "{:?} for {count}", *after - *before);
    }
}

#[test]
fn traces_go_on() {
    let queues = filled(1, 1);
    let trace = "Root=1-5759e988-bd862e3fe1be46a994272793";
    queues.state().set_trace(DEAD, trace);
    queues.run(&["dlq", "replay"]).ok();
    assert_eq!(queues.state().traces(SOURCE), [Some(trace.to_owned())]);
}

fn interrupt(process: &Child) {
    let kill = Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

/// Waits until so many of these calls have come.
fn until(queues: &StandardQueues, operation: &str, times: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while queues.state().calls.iter().filter(|call| *call == operation).count() < times {
        assert!(Instant::now() < deadline, "{operation} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn it_ends_when_it_is_interrupted_and_at_once_when_that_is_meant() {
    for command in ["list", "replay"] {
        let queues = filled(2000, 2);
        queues.state().latency = Duration::from_millis(5);
        let extra = if command == "list" { ["--max", "9999"] } else { ["--reason", "newer"] };
        let process = queues.command(&[&["dlq", command, "--json"], &extra[..]].concat()).spawn().unwrap();
        until(&queues, "ReceiveMessage", 20);
        let asked = Instant::now();
        interrupt(&process);
        let ended = CommandOutput::from(process.wait_with_output().unwrap());
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        let told = ended.json();
        assert_eq!((ended.code, &told["interrupted"]), (Some(1), &true.into()), "{ended:?}");
        let mut state = queues.state();
        assert_eq!(state.hidden(DEAD), 0);
        assert_eq!(state.bodies(DEAD).len() + state.bodies(SOURCE).len(), 2000);
    }

    // Putting back does not get on, and is given up.
    let queues = filled(500, 2);
    let long = Planned::Pause(Duration::from_secs(20));
    queues.state().latency = Duration::from_millis(5);
    queues.state().planned = vec![("ChangeMessageVisibilityBatch", 0, long)];
    let process = queues.command(&["dlq", "list"]).spawn().unwrap();
    until(&queues, "ReceiveMessage", 20);
    interrupt(&process);
    let ended = CommandOutput::from(process.wait_with_output().unwrap());
    assert!(ended.stderr.contains("stay hidden from everybody for up to"), "{ended:?}");

    // Nothing gets on.
    let queues = filled(500, 2);
    queues.state().planned = vec![("ReceiveMessage", 3, long)];
    let mut process = queues.command(&["dlq", "replay"]).spawn().unwrap();
    until(&queues, "ReceiveMessage", 4);
    let asked = Instant::now();
    interrupt(&process);
    std::thread::sleep(Duration::from_millis(200));
    assert!(process.try_wait().unwrap().is_none());
    interrupt(&process);
    assert_eq!(process.wait().unwrap().code(), Some(130));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_replay_that_is_killed_loses_nothing_in_any_order() {
    let queues = filled(2000, 1);
    queues.state().latency = Duration::from_millis(1);
    for _ in 0..8 {
        let mut process = queues.command(&["dlq", "replay", "--rate", "0", "--hide", "2"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..250)));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    queues.run(&["dlq", "replay", "--rate", "0", "--hide", "2"]).ok();
    let mut moved = queues.state().bodies(SOURCE);
    moved.dedup();
    assert_eq!((moved.len(), queues.state().bodies(DEAD).len()), (2000, 0));
}

#[test]
fn strangers_give_no_commands_and_the_age_of_some_is_told_as_such() {
    let queues = StandardQueues::start(1);
    queues.state().send(DEAD, "\n::warning::mine\n##vso[task.complete]", HOUR);
    let shown = queues.run(&["dlq", "show"]).ok();
    assert!(shown.contains("  | ::warning::mine") && !shown.contains("##"), "{shown}");
    assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
    let status = queues.run(&["status"]).ok();
    assert!(
        status.contains("  1h 0m")
            && status.contains("1 dead letter in results: `badgesmith dlq list` lists")
    );
    for _ in 0..20 {
        queues.state().send("RefreshEventsDeadLetterQueue", "{}", HOUR);
    }
    let status = queues.run(&["status"]).ok();
    assert!(
        status.contains("at least 1h 0m") && status.contains("dlq list --queue refresh-events"),
        "{status}"
    );
    let ended = queues.run(&["status", "--json"]);
    assert_eq!(ended.json()["queues"][4]["oldest_is_sample"], true, "{ended:?}");
    queues.state().planned = vec![("ReceiveMessage", usize::MAX, Planned::Deny)];
    let denied = queues.run(&["status"]);
    assert!(denied.stderr.contains("is unknown") && denied.stdout.contains('?'), "{denied:?}");
    denied.ok();
}
