//! Kernel functions that programs may call, by their numbers in the kernel's `include/uapi/linux/bpf.h`.

use crate::release::{Fault, Floor, Release};

/// The highest number of each release since 4.18, which has up to `bpf_get_current_cgroup_id`.
const HIGHEST: [(u32, Release); 13] = [
    (80, Release(4, 18)),
    (83, Release(4, 19)),
    (90, Release(4, 20)),
    (92, Release(5, 0)),
    (98, Release(5, 1)),
    (108, Release(5, 2)),
    (109, Release(5, 3)),
    (110, Release(5, 4)),
    (115, Release(5, 5)),
    (118, Release(5, 6)),
    (124, Release(5, 7)),
    (135, Release(5, 8)),
    // The numbers ended with 6.2; kernel functions by name have taken their place.
    (211, Release(6, 2)),
];

/// Helpers that 4.18 gives to programs of perf events: `pe_prog_func_proto` and `tracing_func_proto` of
/// its `kernel/trace/bpf_trace.c`. Many others of its 80 are for packets and sockets only.
pub(crate) const PERF_EVENT_4_18: &[(u32, &str)] = &[
    (1, "map_lookup_elem"),
    (2, "map_update_elem"),
    (3, "map_delete_elem"),
    (4, "probe_read"),
    (5, "ktime_get_ns"),
    (6, "trace_printk"),
    (7, "get_prandom_u32"),
    (8, "get_smp_processor_id"),
    (12, "tail_call"),
    (14, "get_current_pid_tgid"),
    (15, "get_current_uid_gid"),
    (16, "get_current_comm"),
    (22, "perf_event_read"),
    (25, "perf_event_output"),
    (27, "get_stackid"),
    (35, "get_current_task"),
    (36, "probe_write_user"),
    (37, "current_task_under_cgroup"),
    (42, "get_numa_node_id"),
    (45, "probe_read_str"),
    (56, "perf_prog_read_value"),
    (67, "get_stack"),
    (80, "get_current_cgroup_id"),
];

/// What the floor refuses in a call of helper `id`.
pub(crate) fn fault(id: i32, floor: &Floor) -> Option<Fault> {
    let what = format!("helper {id}");
    let number = u32::try_from(id).ok().filter(|number| *number > 0);
    let Some((number, since)) = number.and_then(|number| Some((number, since(number)?))) else {
        return Some(Fault::Refused(format!("no kernel has a {what}")));
    };
    let newer = Fault::unless_known(floor.release, since, &what);
    newer.or_else(|| {
        let withheld = floor.helpers.iter().all(|(id, _)| *id != number);
        withheld.then_some(Fault::Withheld { what, floor: floor.release })
    })
}

/// A release that has the helper: the first one, if that is later than 4.18.
fn since(id: u32) -> Option<Release> {
    HIGHEST.into_iter().find(|(highest, _)| id <= *highest).map(|(_, release)| release)
}
