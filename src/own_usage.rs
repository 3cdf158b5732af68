//! What the agent itself uses: the `process_*` metrics that every exporter has.

use crate::metrics::Exposition;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::time::{ClockId, clock_gettime};

/// Writes the metrics; those that `/proc` does not tell are left out.
pub fn collect(exposition: &mut Exposition) {
    if let Some(usage) = std::fs::read("/proc/self/stat").ok().and_then(|stat| Usage::parse(&stat)) {
        let ticks = clock_ticks_per_second() as f64;
        let cpu_seconds = usage.cpu_ticks as f64 / ticks;
        exposition.counter_named("process_cpu_seconds", "CPU time of the agent.", [(&[][..], cpu_seconds)]);
        let rows = [
            (
                "process_start_time_seconds",
                "When the agent started, since 1970.",
                booted() + usage.start_ticks as f64 / ticks,
            ),
            ("process_virtual_memory_bytes", "Address space of the agent.", usage.virtual_bytes as f64),
            (
                "process_resident_memory_bytes",
                "Memory of the agent, without its worker.",
                (usage.resident_pages * page_size() as u64) as f64,
            ),
        ];
        for (name, help, value) in rows {
            exposition.gauge_named(name, help, [(&[][..], value)]);
        }
    }
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        let open = descriptors.count() as f64;
        exposition.gauge_named("process_open_fds", "Open descriptors of the agent.", [(&[][..], open)]);
    }
}

/// When the machine booted, seconds since 1970 by today's clock.
fn booted() -> f64 {
    let seconds = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    seconds(ClockId::Realtime) - seconds(ClockId::Boottime)
}

/// Fields of proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Usage {
    fn parse(stat: &[u8]) -> Option<Self> {
        let after_name = stat.get(stat.iter().rposition(|byte| *byte == b')')? + 1..)?;
        let fields: Vec<&str> = std::str::from_utf8(after_name).ok()?.split_ascii_whitespace().collect();
        // What follows the name starts with field 3.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Usage;

    #[test]
    fn fields_are_counted_from_behind_the_name() {
        let stat = b"7 (a) b) S 1 1 1 0 -1 4194560 1 2 3 4 50 6 7 8 20 0 1 0 12345 1000 9 3";
        let usage = Usage { cpu_ticks: 56, start_ticks: 12345, virtual_bytes: 1000, resident_pages: 9 };
        assert_eq!(Usage::parse(stat), Some(usage));
    }
}
