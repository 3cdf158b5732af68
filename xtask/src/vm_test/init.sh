#!/bin/busybox sh
# The first process of the virtual machine: starts programs, lets the agent profile them, and sends what
# came out over the console, between lines that begin with `vm-test:`. With the argument `contained` it is the
# first process of a pid namespace.

export PATH=/bin

# boot: makes a system of what the kernel gives.
boot() {
    /bin/busybox mkdir -p /proc /sys /dev /tmp
    /bin/busybox --install -s /bin
    mount -t proc proc /proc
    mount -t sysfs sysfs /sys
    mount -t devtmpfs devtmpfs /dev
    mount -t tracefs tracefs /sys/kernel/tracing
    mount -t bpf bpf /sys/fs/bpf
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    # A message of the kernel's must not tear a line of ours; errors may.
    dmesg -n 4
    ip link set lo up
    echo "vm-test: release $(uname -r)"
}

# send NAME FILE: a file, as text.
send() {
    echo "vm-test: file $1"
    base64 "$2"
    echo "vm-test: end"
}

# get PATH FILE: an answer of the agent's. Not with wget's own time limit, which kills Debian 12's static
# busybox.
get() {
    timeout 20 wget -q -O "$2" "http://127.0.0.1:7071$1"
}

# profile OBJECT COMM: fetches the next profile, and uncompresses it. The agent waits for it a second longer
# than a profile takes; in an emulated machine it may need more, for the first above all.
profile() {
    for try in 1 2 3; do
        if get "/query?query=%7Bcomm%3D%22$2%22%7D" "/tmp/$1.$2.gz" && gunzip "/tmp/$1.$2.gz"; then
            break
        fi
    done
}

# profiles OBJECT COMM...: fetches the next profile of each at the same time.
profiles() {
    object=$1
    shift
    fetching=
    for comm in $*; do
        profile "$object" "$comm" &
        fetching="$fetching $!"
    done
    wait $fetching
}

# send_profiles OBJECT COMM...: what `profiles` fetched.
send_profiles() {
    object=$1
    shift
    for comm in $*; do
        if [ -f "/tmp/$object.$comm" ]; then
            send "$object.$comm" "/tmp/$object.$comm"
        else
            echo "vm-test: failed $object.$comm"
        fi
    done
}

# in_cgroup PATH PROGRAM...: moves to a cgroup and executes a program, as what a service manager or a container
# runtime has forked does.
in_cgroup() {
    echo 0 >"/sys/fs/cgroup$1/cgroup.procs"
    shift
    exec "$@"
}

# start NAME OBJECT: the agent. Programs in containers and units have the label comm too, by which their profiles are
# asked for here.
start() {
    cat >/tmp/agent.toml <<'END'
systemd-units = ["busy.service"]
host = "on"

[[relabel-configs]]
source_labels = ["__meta_process_comm"]
target_label = "comm"
END
    /parca-agent --http-address=127.0.0.1:7071 --profiling-duration=@PROFILE_SECONDS@s \
        --config-path=/tmp/agent.toml --force-object="$2" >/tmp/log 2>&1 &
    agent=$!
    tries=0
    until get /-/ready /dev/null 2>/dev/null; do
        tries=$((tries + 1))
        if [ $tries -ge 150 ] || ! kill -0 $agent 2>/dev/null; then
            echo "vm-test: failed $1.ready"
            break
        fi
        sleep 0.2
    done
}

# stop NAME: the agent, and sends what it says at last.
stop() {
    get /metrics /tmp/metrics && send "$1.metrics" /tmp/metrics
    kill -TERM $agent
    wait $agent
    echo "vm-test: status $1 $?"
    send "$1.log" /tmp/log
}

# run OBJECT: the agent from start to stop.
run() {
    kill -CONT $aided
    start "$1" "$1"
    profiles "$1" chain syscalls
    kill -STOP $aided
    # A window to forget, in which an emulated machine makes the last tables.
    profile "$1" signal && rm -f "/tmp/$1.signal"
    profiles "$1" nofp deep-nofp signal moment-nofp
    send_profiles "$1" chain syscalls nofp deep-nofp signal moment-nofp
    get /api/v1/targets /tmp/targets && send "$1.targets" /tmp/targets
    stop "$1"
}

# contained: the agent where it sees but one of the programs.
contained() {
    taskset 1 chain >/dev/null &
    start contained modern
    profiles contained chain
    send_profiles contained chain
    stop contained
}

if [ "$1" = contained ]; then
    contained
    exit
fi
boot

mkdir -p /sys/fs/cgroup@SERVICE@ /sys/fs/cgroup@CONTAINER@ /sys/fs/cgroup@BRIEF_CONTAINER@

# One on each processor, so that each has as good as all of its time.
taskset 1 chain >/dev/null &
aided=$!
taskset 2 syscalls >/dev/null &
aided="$aided $!"
# Without frame pointers. As long as the others run, these have as good as none of the time, but samples by
# which the agent gets to know them and to make their tables. Until then their stacks are guesses.
in_cgroup @SERVICE@ taskset 1 nofp >/dev/null &
unaided=$!
in_cgroup @CONTAINER@ taskset 2 deep-nofp 86400 @DEPTH@ >/dev/null &
unaided="$unaided $!"
taskset 1 signal 86400 >/dev/null &
unaided="$unaided $!"
taskset 2 churn 86400 20 /bin/moment-nofp 20 >/dev/null &
unaided="$unaided $!"
# One process after the other, each gone before it is read as a rule.
while :; do
    in_cgroup @BRIEF_CONTAINER@ moment 20 &
    wait $!
    sleep 0.5
done &
unaided="$unaided $!"
taskset -p 1 $! >/dev/null
renice -n 19 -p $unaided
for object in @OBJECTS@; do
    run "$object"
done
unshare -p -f --mount-proc /init contained
echo "vm-test: done"
poweroff -f
