//! Answers of a real XO Proxy, asked of the simulator again.

use std::collections::BTreeMap;

use dadl_simulator::{SimulatorOptions, XoProxy};

use crate::recorded::{Simulated, play};

struct Proxy(XoProxy);

impl Simulated for Proxy {
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    fn base(&self) -> &str {
        ""
    }

    fn login(&self, _: &str) -> Vec<(String, String)> {
        vec![("Cookie".to_owned(), format!("authenticationToken={}", self.0.token()))]
    }

    async fn step(&mut self, words: &str, _: &mut BTreeMap<String, String>) {
        panic!("no step {words}");
    }
}

#[tokio::test]
async fn recorded_answers_come_again() {
    let proxy = XoProxy::start(SimulatorOptions::default()).await.unwrap();
    play(include_str!("../fixtures/xo_proxy_real.txt"), &mut Proxy(proxy)).await;
}
