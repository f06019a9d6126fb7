//! Every door through the battery, and the table of it.

use std::time::Instant;

use crate::{
    cases::{Case, Wrong, disconnect_all},
    door::Door,
    fronts::Fronts,
};

#[tokio::test]
async fn every_door_passes_the_battery() {
    let fronts = Fronts::start(&[]).await;
    let mut rows: Vec<(Door, Vec<String>)> = Vec::new();
    let mut wrong: Vec<Wrong> = Vec::new();
    let watchful = fronts.doors().filter(|(door, _)| !door.is_blind()).map(|(_, address)| address);
    // At all doors at once; where that fails, one by one, so that the door has a name.
    let is_noticed = disconnect_all(&watchful.collect::<Vec<_>>()).await.is_ok();
    for (door, address) in fronts.doors() {
        let mut row = Vec::new();
        for case in Case::ALL {
            let begun = Instant::now();
            let is_known = case == Case::Disconnect && is_noticed;
            row.push(match if is_known { Ok(()) } else { case.run(door, address).await } {
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
