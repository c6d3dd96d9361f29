//! Answers of the real API, asked of the simulator again.

use std::{collections::BTreeMap, time::Duration};

use dadl_simulator::{DanubeCloud, SimulatorOptions};

use crate::recorded::{Simulated, play};

struct Product(DanubeCloud);

impl Simulated for Product {
    fn address(&self) -> String {
        self.0.address().to_string()
    }

    fn base(&self) -> &str {
        "/api"
    }

    fn login(&self, who: &str) -> Vec<(String, String)> {
        let key = match who {
            "admin" => self.0.token().to_owned(),
            "nobody" => return Vec::new(),
            other => format!("demo-key-{other}"),
        };
        vec![("ES-API-KEY".to_owned(), key)]
    }

    async fn step(&mut self, words: &str, _: &mut BTreeMap<String, String>) {
        match words {
            // The limit of requests forgets, and no task ends.
            "minute" => self.0.advance(Duration::from_secs(60)),
            other => panic!("no step {other}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_answers_come_again() {
    let task_duration = Duration::from_secs(24 * 3600);
    let options = SimulatorOptions { task_duration, ..SimulatorOptions::default() };
    let product = DanubeCloud::start(options).await.unwrap();
    play(include_str!("../../fixtures/danube_real.txt"), &mut Product(product)).await;
}
