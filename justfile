# The steps of the gate. `.ci/run --help` describes them.

# List the recipes
default:
    @just --list

# All steps
check:
    .ci/run

# rustfmt
format:
    .ci/run format

# typos
spelling:
    .ci/run spelling

# clippy, warnings are errors
clippy:
    .ci/run clippy

# rustdoc, warnings are errors
rustdoc:
    .ci/run rustdoc

# cargo test
test:
    .ci/run test

# The commands of the docs
docs:
    .ci/run docs

# The pipeline with simulated faults, for two minutes
simulation:
    .ci/run simulation

# The benchmarks, with few iterations
bench:
    .ci/run bench

# The workflows and shell scripts
workflows:
    .ci/run workflows

# The GitHub action, on a simulated runner
action:
    .ci/run action

# The pages and the images of badges, in Chromium
browser:
    .ci/run browser

# Licenses, sources, duplicates, advisories, and unused dependencies
dependencies:
    .ci/run dependencies

# The template, on an emulator of AWS
deploy:
    .ci/run deploy

# Size, CPU time and AWS calls of the functions
cost:
    .ci/run cost

# Replace the pictures in docs/images/pages; look at each
screenshots:
    cargo test --no-run --quiet
    tests/browser/run target/debug/local --update

# Simulate the pipeline: `just simulate --seed N` replays a seed
simulate *options:
    cargo run --bin simulate -- {{ options }}

# Search for inputs that break a property of a fuzz target
fuzz TARGET *OPTIONS: _fuzz-lock
    mkdir -p target/fuzz/corpus/{{TARGET}}
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --target-dir target/fuzz {{TARGET}} \
        target/fuzz/corpus/{{TARGET}} tests/fuzz/corpus/{{TARGET}} \
        {{ if TARGET == "test_report" { "test-reports/tests/fixtures" } else { "" } }} -- {{OPTIONS}}

# Shrink an input that breaks a property
fuzz-shrink TARGET FILE: _fuzz-lock
    cargo +nightly fuzz tmin --fuzz-dir tests/fuzz --target-dir target/fuzz {{TARGET}} {{FILE}}

# The fuzz targets use the dependency versions of the workspace.
_fuzz-lock:
    cp Cargo.lock tests/fuzz/Cargo.lock
