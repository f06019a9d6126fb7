//! Every door through the battery, and the table of it.

use std::time::Instant;

use crate::{
    cases::{Case, Wrong},
    door::Door,
    fronts::Fronts,
};

#[tokio::test]
async fn every_door_passes_the_battery() {
    let fronts = Fronts::start(&[]).await;
    let mut rows: Vec<(Door, Vec<String>)> = Vec::new();
    let mut wrong: Vec<Wrong> = Vec::new();
    for (door, address) in fronts.doors() {
        let mut row = Vec::new();
        for case in Case::ALL {
            let begun = Instant::now();
            row.push(match case.run(door, address).await {
                Ok(()) => case.left_out(door).unwrap_or("yes").to_owned(),
                Err(what) => {
                    wrong.push(format!("{} {}: {what}", case.name(), door.name));
                    "WRONG".to_owned()
                }
            });
            println!("{} {}: {:?}", case.name(), door.name, begun.elapsed());
        }
        rows.push((door, row));
    }
    let names = Case::ALL.map(Case::name).join(" | ");
    println!("| door | {names} |\n|---|{}", "---|".repeat(Case::ALL.len()));
    for (door, row) in rows {
        println!("| {} | {} |", door.name, row.join(" | "));
    }
    assert!(wrong.is_empty(), "\n{}\n{}", wrong.join("\n"), fronts.server.log());
}
