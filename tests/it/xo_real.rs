//! Requests to which a real server once answered otherwise than the simulator, asked of the
//! simulator: status, wording, and the shape as far as it was recorded. `xo_real.txt` says what was
//! asked, what came, and which differences stay, each with its reason: the test fails when one of
//! these is gone, and when there is another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::xo_world::{ADMINISTRATOR, World};

/// One request with what was recorded of its answer.
#[derive(Default)]
struct Exchange {
    /// What has to be done before, as the administrator.
    before: Vec<&'static str>,
    request: &'static str,
    body: &'static str,
    recorded: Recorded,
    status: u16,
    /// Members that the recorded object did not have.
    absent: Vec<&'static str>,
    /// Differences that stay.
    known: BTreeSet<&'static str>,
}

/// What was recorded of a body.
#[derive(Default)]
enum Recorded {
    #[default]
    Nothing,
    /// All of it, word for word.
    Whole(&'static str),
    /// Its beginning, word for word.
    Beginning(&'static str),
    /// Its shape.
    Shape(&'static str),
}

fn exchanges() -> Vec<Exchange> {
    let text = include_str!("../fixtures/xo_real.txt");
    let blocks = text
        .split("\n\n")
        .map(|block| block.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>());
    blocks.filter(|lines| !lines.is_empty()).map(|lines| exchange(&lines)).collect()
}

fn exchange(lines: &[&'static str]) -> Exchange {
    let mut exchange = Exchange::default();
    for line in lines {
        let Some((mark, rest)) = line.split_once(' ') else { panic!("a mark and a text: {line}") };
        let answer = |rest: &'static str| {
            let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
            (status.parse::<u16>().unwrap_or_else(|_| panic!("no status: {line}")), body)
        };
        match mark {
            "<" => exchange.before.push(rest),
            ">" => exchange.body = rest,
            "-" => exchange.absent.extend(rest.split(' ')),
            "!" => {
                let (difference, reason) = rest.split_once(" | ").expect("a reason");
                assert!(!reason.is_empty(), "{line}");
                exchange.known.insert(difference);
            }
            "=" | "^" | "~" => {
                let (status, body) = answer(rest);
                exchange.status = status;
                exchange.recorded = match mark {
                    "=" => Recorded::Whole(body),
                    "^" => Recorded::Beginning(body),
                    _ => Recorded::Shape(body),
                };
            }
            _ => exchange.request = line,
        }
    }
    exchange
}

/// The objects that requests name.
struct Names(BTreeMap<&'static str, String>);

impl Names {
    async fn find(world: &World) -> Self {
        let mut names = BTreeMap::new();
        for (name, collection, filter) in NAMES {
            names.insert(name, world.find(collection, filter).await);
        }
        let template = world.object("vm-templates", &format!("id:{}", names["deft"])).await;
        names.insert("deftuuid", template["uuid"].as_str().unwrap().to_owned());
        let vm = world.object("vms", &format!("id:{}", names["run"])).await;
        names.insert("snap", vm["snapshots"][0].as_str().unwrap().to_owned());
        names.insert("vif", vm["VIFs"][0].as_str().unwrap().to_owned());
        let vbd = world.object("vbds", &format!("id:{}", vm["$VBDs"][0])).await;
        names.insert("vdi", vbd["VDI"].as_str().unwrap().to_owned());
        let pool = &names["pool"];
        let pif = world.find("pifs", &format!("$pool:{pool} management?")).await;
        names.insert("pif", pif);
        let sr = world.find("srs", "SR_type:nfs").await;
        names.insert("pbd", world.find("pbds", &format!("SR:{sr}")).await);
        names.insert("sr", sr);
        Self(names)
    }

    fn fill(&self, text: &str) -> String {
        let filled =
            |text: String, (name, id): (&&str, &String)| text.replace(&format!("{{{name}}}"), id);
        self.0.iter().fold(text.to_owned(), filled)
    }
}

const NAMES: [(&str, &str, &str); 22] = [
    ("admin", "users", "name:admin"),
    ("blk", "vms", "blockedOperations:destroy?"),
    ("br", "backup-repositories", "name:nfs-backup"),
    ("deft", "vm-templates", "isDefaultTemplate?"),
    ("group", "groups", "name:developers"),
    ("halted", "vms", "name_label:web-06"),
    ("host", "hosts", "name_label:xcp-01"),
    ("job", "backup-jobs", "name:mail"),
    ("log", "backup-logs", "status:failure jobName:offsite"),
    ("net", "networks", "bridge:xenbr0"),
    ("nt", "vms", "power_state:Running !pvDriversDetected?"),
    ("orphan", "vdis", "name_label:orphan"),
    ("pool", "pools", "name_label:Production"),
    ("role", "acl-roles", "name:web"),
    ("run", "vms", "name_label:db-01"),
    ("sched", "schedules", "name:regular"),
    ("server", "servers", "label:Production"),
    ("sm", "sms", "SM_type:nfs"),
    ("tplrole", "acl-roles", "isTemplate?"),
    ("tpl", "vm-templates", "!isDefaultTemplate?"),
    ("user", "users", "name:bob"),
    ("vmc", "vm-controllers", ""),
];

/// Replaces what is another in every answer.
fn neutral(text: &str) -> String {
    let uuid = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
    uuid.unwrap().replace_all(text, "UUID").into_owned()
}

/// Says how a value differs from a recorded shape: `s` is a text, `n` a number, `b` a boolean, `*`
/// anything; of a list the first elements are compared, if there are any.
fn differences(place: &str, shape: &Value, value: &Value, found: &mut BTreeSet<String>) {
    let here = if place.is_empty() { "body" } else { place };
    let inside = |name: &str| {
        if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
    };
    match (shape, value) {
        (Value::String(leaf), value) => {
            let fits = match leaf.as_str() {
                "s" => value.is_string(),
                "n" => value.is_number(),
                "b" => value.is_boolean(),
                _ => true,
            };
            if !fits {
                found.insert(format!("{here}: no {leaf}"));
            }
        }
        (Value::Array(shapes), Value::Array(values)) => {
            if let (Some(shape), Some(value)) = (shapes.first(), values.first()) {
                differences(place, shape, value, found);
            }
        }
        (Value::Object(shapes), Value::Object(values)) => {
            for (name, shape) in shapes {
                match values.get(name) {
                    Some(value) => differences(&inside(name), shape, value, found),
                    None => {
                        found.insert(format!("{}: missing", inside(name)));
                    }
                }
            }
            // Of the object itself the record may be cut; the smaller ones inside are whole.
            let more =
                values.keys().filter(|name| !place.is_empty() && !shapes.contains_key(*name));
            found.extend(more.map(|name| format!("{}: too much", inside(name))));
        }
        _ => {
            found.insert(format!("{here}: another type"));
        }
    }
}

async fn play(world: &World, names: &Names, exchange: &Exchange) -> BTreeSet<String> {
    for before in &exchange.before {
        let (request, body) = before.split_once(" > ").unwrap_or((before, "null"));
        let (method, target) = request.split_once(' ').unwrap();
        let body = serde_json::from_str(&names.fill(body)).unwrap();
        world.act(method, &names.fill(target), &body).await;
    }
    let (method, target) = exchange.request.split_once(' ').unwrap();
    let body = match exchange.body {
        "" => Value::Null,
        body => serde_json::from_str(&names.fill(body)).unwrap(),
    };
    let (status, came) = world.send(method, &names.fill(target), ADMINISTRATOR, &body).await;
    let mut found = BTreeSet::new();
    if status != exchange.status {
        found.insert(format!("status: {status}"));
    }
    match exchange.recorded {
        Recorded::Nothing => panic!("no answer to {}", exchange.request),
        Recorded::Whole(whole) => {
            let whole: Value = serde_json::from_str(&names.fill(whole)).unwrap();
            let (whole, came) = (neutral(&whole.to_string()), neutral(&came.to_string()));
            if whole != came {
                found.insert(format!("body: {came}"));
            }
        }
        Recorded::Beginning(beginning) => {
            let (beginning, came) = (neutral(&names.fill(beginning)), neutral(&came.to_string()));
            if !came.starts_with(&beginning) {
                found.insert(format!("body: {came}"));
            }
        }
        Recorded::Shape(shape) => {
            let shape: Value = serde_json::from_str(shape).unwrap();
            differences("", &shape, &came, &mut found);
            let object = if came.is_array() { &came[0] } else { &came };
            let there = exchange.absent.iter().filter(|name| object.get(**name).is_some());
            found.extend(there.map(|name| format!("{name}: too much")));
        }
    }
    found
}

#[tokio::test]
async fn what_a_real_server_answered_is_answered() {
    let world = World::start().await;
    let sr = world.find("srs", "SR_type:nfs").await;
    let orphan = json!({ "srId": sr, "name_label": "orphan", "virtual_size": 734_003_200 });
    world.act("POST", "/vdis", &orphan).await;
    let job = world.find("backup-jobs", "name:offsite").await;
    let schedule = world.find("schedules", &format!("jobId:{job}")).await;
    world.act("POST", &format!("/schedules/{schedule}/actions/run?sync=true"), &Value::Null).await;
    let names = Names::find(&world).await;
    let mut wrong = Vec::new();
    let exchanges = exchanges();
    for exchange in &exchanges {
        let found = play(&world, &names, exchange).await;
        let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
        let what = exchange.request;
        wrong.extend(found.difference(&exchange.known).map(|it| format!("{what}\n  ! {it} | ")));
        wrong.extend(exchange.known.difference(&found).map(|it| format!("{what}\n  gone: {it}")));
    }
    assert_eq!(exchanges.len(), 73);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn differences_are_told() {
    let tell = |shape: Value, value: Value| {
        let mut found = BTreeSet::new();
        differences("", &shape, &value, &mut found);
        found.into_iter().collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(tell(json!(["s"]), json!([])), none);
    assert_eq!(tell(json!({ "a": "n", "b": ["s"] }), json!({ "a": 1, "b": ["x"], "c": 1 })), none);
    assert_eq!(tell(json!({ "a": "n" }), json!({ "a": "1" })), ["a: no n"]);
    assert_eq!(tell(json!({ "a": "n" }), json!({})), ["a: missing"]);
    assert_eq!(tell(json!({ "a": {} }), json!({ "a": { "b": 1 } })), ["a.b: too much"]);
    assert_eq!(tell(json!([{ "a": ["b"] }]), json!([{ "a": [1] }])), ["a: no b"]);
    assert_eq!(tell(json!({}), Value::Object(Map::new())), none);
    assert_eq!(tell(json!({ "a": [] }), json!({ "a": {} })), ["a: another type"]);
}
