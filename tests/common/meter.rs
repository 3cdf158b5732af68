//! How much CPU time a process used between two moments.

use super::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Time between two readings, as long as the kernel's unit is (`USER_HZ`).
const INTERVAL: Duration = Duration::from_millis(10);

/// Reads a process's CPU time again and again, so that it is known for any span of time.
pub(crate) struct Meter {
    readings: Arc<Mutex<Vec<(SystemTime, Duration)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// Begins to read, and goes on until the meter is dropped or the process ends.
    pub(crate) fn start(process: u32) -> Self {
        let (readings, stop): (Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        readings.lock().unwrap().push((SystemTime::now(), process::cpu_time(process).unwrap()));
        let (to, stopped) = (readings.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed)
                && let Some(used) = process::cpu_time(process)
            {
                to.lock().unwrap().push((SystemTime::now(), used));
                std::thread::sleep(INTERVAL);
            }
        });
        Self { readings, stop, thread: Some(thread) }
    }

    /// When it began.
    pub(crate) fn began(&self) -> SystemTime {
        self.readings.lock().unwrap()[0].0
    }

    /// CPU time used between two moments. Between two readings it is taken as even: on a busy machine they
    /// can be half a second apart.
    pub(crate) fn used(&self, from: SystemTime, to: SystemTime) -> Duration {
        let readings = self.readings.lock().unwrap();
        let at = |moment| {
            let after = readings.partition_point(|(time, _)| *time <= moment).clamp(1, readings.len() - 1);
            let [(earlier, before), (later, used)] = [readings[after - 1], readings[after]];
            let between = |from: SystemTime, to| SystemTime::duration_since(&to, from).unwrap_or_default();
            let share = between(earlier, moment).as_secs_f64() / between(earlier, later).as_secs_f64();
            before + (used - before).mul_f64(share.min(1.0))
        };
        at(to) - at(from)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
