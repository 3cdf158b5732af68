//! `parca-agent`: an always-on sampling CPU profiler for Linux hosts.
//!
//! It samples every process of the host with eBPF, attributes each sample to a target, makes a pprof
//! profile of each target for every window of ten seconds, and serves them. It needs no server, no
//! toolchain and no file beside itself.
//!
//! # Two lanes
//! ```text
//! control  exec, exit, fork, first sample -> process -> object file -> [worker: ELF] -> identity
//!                                              |                           |
//!                                              v mappings                  v unwind rows
//! data     timer -> [kernel: ebpf/, unwinds by both] -> ring -> sample -> collector -> profile -> pprof -> http
//! ```
//! The control lane finds out what an address means, in its own time; the data lane never waits for it.
//! Both meet in the tables of the unwinder
//! ([`sample::tables`]), and when a window closes ([`collector`]).
//!
//! # Where things are
//! The modules stand below in the order of the flow. A module uses its own line and those above.
//!
//! | modules | what they hold |
//! |---|---|
//! | [`address`], [`label`], [`text`], [`glob`], [`token`], [`choice`], [`exit`] | vocabulary |
//! | [`relabel`] | rules that keep, drop and rename what was discovered |
//! | [`backoff`], [`disk`], [`log`], [`metrics`], [`net`], [`own_usage`], [`sys`] | pauses between tries, directories of its own, log, counters, connections, the agent's own usage, all unsafe code |
//! | [`object`], [`process`], [`symbolize`], [`unwind`], [`worker`] | files and what they are; who runs what; names; unwind rows; the sandboxed parser |
//! | [`sample`] | BPF programs loaded, timers attached, records decoded |
//! | [`discovery`] | from a process to the target it is profiled under |
//! | [`profile`] | stacks interned, samples grouped; a [`profile::Window`] is the result |
//! | [`collector`] | the loop of the data lane, and the threads that help it |
//! | [`pprof`] | a window as bytes for other tools |
//! | [`local_store`], [`store`] | each profile as a file; to a server of profiles |
//! | [`debuginfo`] | what of a file a server needs to name addresses, and its way there |
//! | [`http`] | pages, downloads, metrics |
//! | [`cli`], [`config`] | what was asked for |
//! | [`agent`] | builds all of the above from a configuration, and takes it down |
//!
//! The BPF programs are the crate `ebpf`; what crosses the kernel boundary is defined once, in
//! `ebpf/common`.
//!
//! # Where to look
//! | symptom | file |
//! |---|---|
//! | does not start | `sample/mod.rs`, `sample/privilege.rs` |
//! | a stack looks cut or wrong | `ebpf/src/modern/unwinder.rs`, the rows by `examples/unwind_rows.rs` |
//! | a library has the frames of one that was there before | `ebpf/src/modern/replacement.rs` |
//! | stacks are guesses for long after a start | `collector/table_cache/mod.rs`, `worker/queue.rs` |
//! | a short process has no whole stacks | `ebpf/src/modern/address_space.rs` |
//! | a file has no unwind table | `unwind/sources.rs`, `collector/tabulator.rs` |
//! | wrong mapping or address | `process/mapping.rs`, `object/mod.rs`, `pprof/mod.rs` |
//! | sample under the wrong process | `process/table.rs` |
//! | a process is met too late, or wakes the agent too often | `ebpf/src/modern/wakeup.rs`, `collector/mod.rs` |
//! | only some processes of the host are profiled | `sample/pid_namespace.rs`, `ebpf/src/modern/pid_namespace.rs` |
//! | a sample is missing | `collector/account.rs`, the metrics `parca_agent_samples_*` |
//! | wrong target or label | the page `/targets`; `discovery/membership.rs`, `discovery/claim.rs` |
//! | a process is not in its systemd unit | `discovery/systemd/known.rs`, `/proc/PID/cgroup` |
//! | a target is not profiled, or not any more | the page `/targets`; `discovery/policy.rs`, `collector/reselect.rs` |
//! | a rule keeps or drops the wrong target | `relabel/operation.rs` |
//! | profiles wait for the store, are coarser than a window, or get lost on the way | `store/queue.rs`, `store/spool/mod.rs`, `store/loss.rs` |
//! | the store is not reached, or asked too often or too rarely | the page; `store/channel.rs`, `store/retry.rs`, `store/pace.rs` |
//! | a server gets no debug information, or that of a worse file | `debuginfo/find/mod.rs`, `debuginfo/upload/failure.rs`, the metrics `parca_agent_debuginfo_*` |
//! | too much memory | `ebpf/common/src/limits.rs`, and the constants at the head of each table |
//!
//! # What always holds
//! * A process is named by its id *and* its start time ([`process::id::ProcessId`]).
//! * Samples taken = written + queued + dropped by reason, at every scrape ([`collector::account`]).
//! * The agent never maps or parses a file of a profiled process: the worker does, without capabilities
//!   ([`worker`]).
//! * Every queue, cache and table has a bound, a rule for what is dropped, and a counter.
//! * Nothing is pinned in the kernel: when the process ends, all of it is gone.

pub mod address;
pub mod choice;
pub mod exit;
pub mod glob;
pub mod label;
pub mod relabel;
pub mod text;
pub mod token;

pub mod backoff;
pub mod disk;
pub mod log;
pub mod metrics;
pub mod net;
pub mod own_usage;
pub mod sys;

pub mod object;
pub mod process;
pub mod symbolize;
pub mod unwind;
pub mod worker;

pub mod sample;

pub mod discovery;

pub mod profile;

pub mod collector;

pub mod pprof;

pub mod local_store;
pub mod store;

pub mod debuginfo;

pub mod http;

pub mod cli;
pub mod config;

pub mod agent;
