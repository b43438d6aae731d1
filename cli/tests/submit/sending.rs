//! Results that a `local` in this process accepts or rejects.

use std::fs;

use serde_json::{Value, json};
use tests::client::{KEY, REPOSITORY};
use tests::http::Api;

use super::{Job, RUN, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn reports_become_a_badge() {
    let job = Job::start().await;
    fs::create_dir_all(job.path("results/unit")).unwrap();
    let suite = |failures: &str| {
        format!(r#"<testsuite><testcase name="a"/><testcase name="b">{failures}</testcase></testsuite>"#)
    };
    fs::write(job.path("results/unit/one.xml"), suite("")).unwrap();
    fs::write(job.path("results/two [x].xml"), suite("<failure/>")).unwrap();
    let options = ["--repo", "Acme/Kit", "--platform", "linux", "--branch", "feature/x#1", "--run-id", "7"];
    let reports = ["results/**/*.xml", "results/unit/one.xml", "results/two [x].xml"];
    let output = job.submit(&[&options[..], &reports].concat(), &[]).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let stored = job.stored("feature%2Fx%231").await;
    assert_eq!(
        (&stored["passed"], &stored["failed"], &stored["run_id"]),
        (&3.into(), &1.into(), &"7".into())
    );

    // The Markdown begins with the image.
    let image = output.stdout.strip_prefix("[![Tests](").unwrap().split(')').next().unwrap();
    let path = image.strip_prefix(&job.url()).unwrap();
    let image = Api::new(&job.url()).get(path).await.unwrap();
    assert!(image.text.contains("<title>tests: 3 passed, 1 failed</title>"), "{}", image.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_a_suite_and_a_conclusion() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--platform", "linux", "--run-id", "7"];
    let submit = async |more: &[&str]| {
        let output = job.submit(&[&options[..], more].concat(), &[]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stderr
    };
    submit(&["--branch", "main", "--suite", "build", "--passed", "0", "--conclusion", "failure"]).await;
    let broken = job.stored("main").await;
    assert_eq!((&broken["suite"], &broken["conclusion"]), (&"build".into(), &"failure".into()));
    let note =
        submit(&["--passed", "1", "--failed", "1", "--conclusion", "success", "--branch", "red"]).await;
    assert!(note.contains("ignored --conclusion success, because tests failed"), "{note}");
    let skipped = submit(&["--branch", "main", "--passed", "1", "--conclusion", "cancelled"]).await;
    assert!(skipped.contains("nothing was submitted: the run was cancelled"), "{skipped}");
    let crashed = submit(&["--branch", "crashed", "--conclusion", "failure", "nothing/*.xml"]).await;
    assert!(crashed.contains("no file matches") && crashed.contains("submitting a failed run"), "{crashed}");
    assert_eq!(job.stored("crashed").await["conclusion"], "failure");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_failed_tests_are_sent_only_on_request() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--platform", "linux", "--run-id", "7", "red.xml"];
    let red = r#"<testsuite><testcase classname="kit" name="a&#9;b"><failure/></testcase><testcase name="c"/></testsuite>"#;
    fs::write(job.path("red.xml"), red).unwrap();
    for (branch, more, failures) in
        [("quiet", None, Value::Null), ("named", Some("--failures"), json!(["kit.a\u{fffd}b"]))]
    {
        let arguments: Vec<_> = options.into_iter().chain(["--branch", branch]).chain(more).collect();
        assert_eq!(job.submit(&arguments, &[]).await.code, Some(0));
        assert_eq!(job.stored(branch).await["failures"], failures);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn suites_are_retired_on_every_platform_or_on_one() {
    let job = Job::start().await;
    let options = ["--repo", REPOSITORY, "--branch", "main", "--run-id", "7"];
    let submit = async |more: &[&str]| {
        let output = job.submit(&[&options[..], more].concat(), &[]).await;
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output
    };
    let retire = async |more: &[&str]| submit(&[&["--retire"], more].concat()).await.stdout;
    for (platform, suite) in [("linux", "a"), ("windows", "a"), ("linux", "b"), ("macos", "c"), ("linux", "")]
    {
        submit(&["--platform", platform, "--suite", suite, "--passed", "1"]).await;
    }
    job.wait_for_slots(5).await;
    let notice = submit(&["--platform", "linux", "--suite", "d", "--passed", "1"]).await.stderr;
    assert!(notice.contains("notice: results without a suite still count on this branch"), "{notice}");
    job.wait_for_slots(6).await;
    let again = submit(&["--platform", "linux", "--suite", "d", "--passed", "1"]).await.stderr;
    assert!(!again.contains("notice"), "{again}");

    assert_eq!(
        retire(&["--suite", "a", "--dry-run"]).await,
        "would retire a on linux\nwould retire a on windows\n"
    );
    assert_eq!(retire(&["--suite", "a", "--platform", "windows"]).await, "retired a on windows\n");
    job.wait_for_slots(5).await;
    let rest = retire(&["--all-but", "b", "c", "--json"]).await;
    let rest: Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((&rest["accepted"], rest["suites"].as_array().unwrap().len()), (&true.into(), 3), "{rest}");
    job.wait_for_slots(2).await;
    for repeated in [&["--all-but", "b", "c"][..], &["--suite", "a"]] {
        let nothing = submit(&[&["--retire"], repeated].concat()).await.stderr;
        assert!(nothing.contains("nothing was submitted: nothing is left to retire"), "{nothing}");
    }
    for (branch, unknown, expected) in [
        (
            "main",
            &["--suite", "x"][..],
            "no suite x on branch main of acme/kit; its suites are: '' (unnamed) on linux; a on linux; ",
        ),
        (
            "main",
            &["--all-but", "b", "x"],
            "no suite x on branch main of acme/kit; its suites are: '' (unnamed) on linux; a on linux; ",
        ),
        (
            "main",
            &["--suite", "x", "--platform", "macos"],
            "no suite x on branch main of acme/kit; its suites on macos are: c on macos",
        ),
        (
            "dev",
            &["--suite", "x"],
            "no suite x on branch dev of acme/kit; the branch has no suites; check --repo and --branch",
        ),
    ] {
        let options = ["--repo", REPOSITORY, "--branch", branch, "--retire"];
        let retire = job.submit(&[&options[..], unknown].concat(), &[]).await;
        assert_eq!(retire.code, Some(2), "{}", retire.stderr);
        assert!(retire.stderr.contains(expected), "{}", retire.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_even_under_several_names() {
    use std::os::unix::fs::symlink;
    let job = Job::start().await;
    fs::create_dir(job.path("sub")).unwrap();
    for name in ["sub/a.xml", "b.xml", ".hidden.xml"] {
        fs::write(job.path(name), r#"<testsuite><testcase name="a"/></testsuite>"#).unwrap();
    }
    for (link, target) in
        [("loop", "."), ("again", "."), ("sub/up", ".."), ("other", "sub"), ("c.xml", "b.xml")]
    {
        symlink(target, job.path(link)).unwrap();
    }
    let total = async |reports: &[&str]| -> Value {
        let output = job.submit(&[&RUN[..], &["--json"], reports].concat(), &[]).await;
        serde_json::from_str::<Value>(&output.stdout).expect(&output.stderr)["total"].take()
    };
    assert_eq!(total(&["**/*.xml"]).await, 3);
    assert_eq!(total(&["./**/*.xml", "sub/*.xml", &job.path("sub/a.xml"), "./sub/a.xml"]).await, 3);
    assert_eq!(total(&["s?b/[a-z].xml"]).await, 1);
    assert_eq!(total(&["*.xml"]).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn github_actions_provides_everything_but_the_report() {
    let job = Job::start().await;
    let (output_file, summary_file) = (job.path("output"), job.path("summary"));
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/kit"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_REF", "refs/heads/evil`$(touch x)`\u{202e}"),
        ("GITHUB_SHA", "4d8474bda0b16fbbb69887d0d08c3885843bbdc7"),
        ("GITHUB_RUN_ID", "16814735762"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_WORKFLOW", "ci"),
        ("GITHUB_JOB", "test"),
        ("BADGESMITH_MATRIX", r#"{"python":"3.12"}"#),
        ("RUNNER_OS", "Windows"),
        ("RUNNER_TEMP", &job.path("")),
        ("GITHUB_OUTPUT", &output_file),
        ("GITHUB_STEP_SUMMARY", &summary_file),
    ];
    let output = job.submit(&["--json", &fixture("pytest/report.xml")], &variables).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let stored = job.stored("evil%60%24(touch%20x)%60%E2%80%AE").await;
    assert_eq!(json["accepted"], true);
    assert_eq!(json["suite"], "ci / test (3.12)");
    for field in ["test_result_id", "platform", "branch", "suite", "passed", "failed", "skipped", "total"] {
        assert_eq!(stored[field], json[field], "{field}");
    }
    assert_eq!((&stored["platform"], &stored["run_attempt"]), (&"windows".into(), &2.into()));
    assert_eq!(stored["workflow_run_url"], "https://github.com/acme/kit/actions/runs/16814735762/attempts/2");
    let outputs = fs::read_to_string(&output_file).unwrap();
    let names: Vec<_> = outputs.lines().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(
        names,
        ["passed", "failed", "skipped", "total", "conclusion", "badge-url", "markdown", "test-result-id"]
    );
    let summary = fs::read_to_string(&summary_file).unwrap();
    assert!(summary.contains(json["markdown"].as_str().unwrap()), "{summary}");
    assert!(summary.starts_with("### Tests of `evil'$(touch x)'"), "{summary}");
    assert!(summary.contains("Suite: `ci / test (3.12)`"), "{summary}");

    let second = job.submit(&["--passed", "1"], &variables).await;
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("this job already submitted a result for suite"), "{}", second.stderr);
    let named = job.submit(&["--passed", "1", "--suite", "doc tests"], &variables).await;
    assert_eq!(named.code, Some(0), "{}", named.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_result_fails_the_job_only_with_fail_on_error() {
    let job = Job::start().await;
    let options =
        ["--repo", "acme/other", "--platform", "linux", "--branch", "main", "--run-id", "1", "--passed", "1"];
    let output = job.submit(&options, &[]).await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    assert!(output.stderr.starts_with("warning: the service rejected the result: 401"), "{}", output.stderr);
    let output = job.submit(&[&options[..], &["--fail-on-error", "--json"]].concat(), &[]).await;
    assert_eq!(output.code, Some(1));
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(json["accepted"], false);
    assert!(!output.stderr.contains(KEY));
}
