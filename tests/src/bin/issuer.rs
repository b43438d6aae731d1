//! GitHub's issuer of ID tokens on a local port, for programs that imitate a runner:
//! `cargo run --package tests --bin issuer` prints its URL, and serves until it is killed.
//!
//! A job's `ACTIONS_ID_TOKEN_REQUEST_URL` is `{issuer}/idtoken?api-version=2.0`, and its
//! `ACTIONS_ID_TOKEN_REQUEST_TOKEN` the base64url, without padding, of a JSON object with the claims that its tokens
//! have instead of those of a push to `main` of `acme/kit`: `e30` changes none.

#![expect(clippy::print_stdout, reason = "a program that prints an address")]

use std::thread;

use tests::upstream::Upstream;

fn main() {
    let upstream = Upstream::start();
    println!("listening on {}", upstream.issuer());
    loop {
        thread::park();
    }
}
