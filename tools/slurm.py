#!/usr/bin/env python3
"""Start Slurm on this machine, and run the examples of docs/scaling.md on it.

    slurm.py GRAPES [--folder FOLDER]

Needs root and Slurm with munge (Debian: apt-get install slurm-wlm munge). The daemons run with a configuration in a temporary
folder and are stopped at the end; other installations of Slurm on this machine are not touched. The study of each job script must
equal the same study in one process, also if a job is requeued while it runs, and a training of two tasks must have the losses of
one process.
"""
import argparse
import contextlib
import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import kill_workers

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGURATION = """
ClusterName=grapes
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        time.sleep(0.2)
    return found


def free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [one.getsockname()[1] for one in sockets]


@contextlib.contextmanager
def slurm(folder):
    """Run the daemons of Slurm. Yield the environment in which its commands find them."""
    folder.mkdir()
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().split(".")[0]
    (folder / "slurm.conf").write_text(CONFIGURATION.format(host=host, folder=folder, ports=free_ports(2)))
    (folder / "cgroup.conf").write_text("IgnoreSystemd=yes\n")
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", f"--key-file={folder}/munge.key",
         f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"],
        ["slurmctld", "-D"],
        ["slurmd", "-D", "-N", host],
    ]
    running = []

    def logs():
        return "\n".join(f"{log}:\n" + "".join(log.read_text().splitlines(True)[-15:]) for log in sorted(folder.glob("*.log")))

    try:
        for command in daemons:
            with open(folder / f"{command[0]}.out.log", "w") as log:
                running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT))
            if command[0] == "munged":
                wait_until((folder / "munge.socket").exists, "munged listens")
        state = lambda: subprocess.run(["sinfo", "--noheader", "--format=%T"], env=environment, capture_output=True, text=True).stdout
        try:
            wait_until(lambda: state().strip() == "idle", "the node of Slurm is idle")
        except AssertionError:
            print(state(), logs(), sep="\n", file=sys.stderr)
            raise
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, stderr=subprocess.DEVNULL, timeout=30)
        for daemon in reversed(running):
            daemon.terminate()
        for daemon in running:
            try:
                daemon.wait(timeout=30)
            except subprocess.TimeoutExpired:
                daemon.kill()


def files_of_page():
    """Return name -> content of the files that docs/scaling.md shows."""
    page = (ROOT / "docs/scaling.md").read_text()
    return dict(re.findall(r"<!-- file (\S+) -->\n```\w*\n(.*?)```", page, re.DOTALL))


class Examples:
    def __init__(self, grapes, folder, environment):
        self.grapes, self.folder = grapes, folder
        # Slurm passes the environment of sbatch on to the job.
        self.environment = {**environment, "PATH": f"{pathlib.Path(grapes).parent}:{environment['PATH']}", "OMP_NUM_THREADS": "1"}
        for name, content in files_of_page().items():
            (folder / name).write_text(content)

    def run(self, *command):
        done = subprocess.run(list(map(str, command)), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600)
        logs = "".join(f"{path.name}: {path.read_text()}" for path in self.folder.glob("slurm-*.out"))
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{logs}"
        return done.stdout

    def study(self, script, out):
        """Submit a job script of the page, and compare its study with one of one process."""
        self.run("sbatch", "--wait", script)
        kill_workers.check(self.grapes, self.folder / "runs/whole", self.folder / out)
        print(f"{script}: equal to one process", flush=True)

    def requeued(self):
        """Submit workers of a longer study, and requeue one of them while it runs."""
        (self.folder / "study.toml").write_text(files_of_page()["study.toml"].replace("epochs = 2", "epochs = 60"))
        self.run(self.grapes, "--quiet", "run", "study.toml", "--out", "runs/long")
        script = (self.folder / "workers.sh").read_text().replace("runs/slurm", "runs/requeued").replace("--array=1-8", "--array=1-2")
        (self.folder / "requeued.sh").write_text(script.replace("--shard auto", "--shard auto --heartbeat 1"))
        job = re.search(r"\d+", self.run("sbatch", "requeued.sh")).group()
        wait_until(lambda: glob.glob(f"{self.folder}/runs/requeued/arms/*/*/*/*/checkpoints/last.safetensors"), "there is a checkpoint")
        self.run("scontrol", "requeue", f"{job}_1")
        # Slurm starts a requeued job no earlier than two minutes later.
        wait_until(lambda: not self.run("squeue", "--noheader", f"--job={job}").strip(), "the jobs have ended", 400)
        restarts = self.run("scontrol", "show", "job", f"{job}_1")
        assert "Restarts=1" in restarts, restarts
        kill_workers.check(self.grapes, self.folder / "runs/long", self.folder / "runs/requeued")
        print("a worker that is requeued: equal to one process", flush=True)

    def training(self):
        """Train with two tasks of a step."""
        settings = ["--model", "mlp:32", "--epochs", "3", "--precision", "float64", "--modulation", "grapes"]
        self.run("srun", "--ntasks=2", "grapes", "--quiet", "train", *settings, "--out", "runs/two")
        self.run(self.grapes, "--quiet", "train", *settings, "--out", "runs/one")
        rows = lambda run: [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        for two, one in zip(rows("runs/two"), rows("runs/one"), strict=True):
            for key in ("train_loss", "validation_loss", "test_loss"):
                assert key not in one or abs(two[key] - one[key]) <= 1e-12 * abs(one[key]), (key, two[key], one[key])
        print("srun --ntasks=2 grapes train: the losses of one process", flush=True)

    def refusal(self):
        """A study that srun starts twice must be refused."""
        done = subprocess.run(["srun", "--ntasks=2", "grapes", "run", "study.toml", "--out", "runs/refused"], cwd=self.folder,
                              env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 2 and "Slurm started 2 processes" in done.stderr, done.stderr
        print("srun --ntasks=2 grapes run without --shard auto: refused", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grapes")
    parser.add_argument("--folder", help="keep the logs and the studies in this folder, which must not exist")
    options = parser.parse_args()
    os.environ["PATH"] += ":/usr/sbin"
    missing = [name for name in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        sys.exit(f"slurm.py needs {', '.join(missing) or 'root'}")
    grapes = str(pathlib.Path(options.grapes).resolve())
    print(subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True).stdout.strip(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or f"{temporary}/slurm").resolve()
        folder.mkdir()
        with slurm(folder / "daemons") as environment:
            examples = Examples(grapes, folder, environment)
            examples.run(grapes, "--quiet", "run", "study.toml", "--out", "runs/whole")
            examples.study("workers.sh", "runs/slurm")
            examples.study("parts.sh", "runs/parts")
            examples.training()
            examples.refusal()
            examples.requeued()


if __name__ == "__main__":
    main()
