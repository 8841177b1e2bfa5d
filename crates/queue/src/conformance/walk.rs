//! A seeded random walk through everything that can be done, checked after each step.

use std::time::Duration;

use super::observed::Observed;
use super::{Make, cases, settings};
use crate::{Chance, Hold, Lease, Priority};

const STEPS: usize = 250;

pub(super) async fn run(make: Make<'_>, seed: u64) {
    let mut chance = Chance::new(seed);
    let mut pick = |below: usize| usize::try_from(chance.next_u64() % below as u64).unwrap_or_default();
    let mut queue = Observed::new(make, settings());
    let workers = [queue.consumer("walker-1"), queue.consumer("walker-2")];
    // Leases that somebody once had, also those that are lost by now.
    let mut leases: Vec<(usize, Lease)> = Vec::new();
    for step in 0..STEPS {
        let who = pick(2);
        let job = ["a", "b", "c"][pick(3)];
        let held = if leases.is_empty() { None } else { Some(pick(leases.len())) };
        match pick(20) {
            0..=3 => {
                let batch: Vec<_> = (0..=pick(6))
                    .map(|_| {
                        // The priority follows from the id, since an id names one task.
                        let number = pick(30);
                        cases::task(job, number, Priority::ALL[number % 3])
                    })
                    .collect();
                let mut unique = batch.clone();
                unique.sort_by(|a, b| a.id.cmp(&b.id));
                unique.dedup_by(|a, b| a.id == b.id);
                queue.enqueue(&unique).await;
            }
            4..=8 => {
                if let Some(lease) = queue.claim(&*workers[who], Duration::ZERO).await {
                    leases.push((who, lease));
                }
            }
            9 => {
                tokio::time::sleep(Duration::from_millis(60)).await;
                let expired = queue.expire().await;
                assert!(expired.len() <= leases.len(), "step {step}");
            }
            10 if step % 5 == 0 => {
                // Everybody goes silent; cancelled leases end with it.
                tokio::time::sleep(settings().lease + Duration::from_millis(50)).await;
                queue.expire().await;
                leases.clear();
            }
            11 => {
                let dead = queue.dead();
                queue.revive(&dead).await;
            }
            12 if step % 3 == 0 => {
                queue.withdraw(job).await;
            }
            13 if step % 6 == 0 => {
                queue.forget(job).await;
            }
            action => {
                let Some(index) = held else { continue };
                let (who, lease) = leases[index].clone();
                let by = &*workers[who];
                match action {
                    14 => {
                        if queue.heartbeat(by, &lease, None).await == Hold::Lost {
                            leases.swap_remove(index);
                        }
                    }
                    // Settled leases sometimes stay in hand, and are then found lost.
                    15 | 16 => {
                        queue.finish(by, &lease).await;
                    }
                    17 => {
                        queue.release(by, &lease).await;
                        leases.swap_remove(index);
                    }
                    _ => {
                        queue.fail(by, &lease, "walked into a wall", action != 18).await;
                        leases.swap_remove(index);
                    }
                }
            }
        }
    }
}
