#!/usr/bin/env python3
"""Many processes that work on one study in a shared folder."""
import glob
import json
import pathlib
import signal
import subprocess
import sys

from program import GRAPES, main, ProgramTest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import kill_workers  # noqa: E402

SMALL = ["--quiet", "--arms", "bp,grapes", "--seeds", "2", "--epochs", "2", "--model", "mlp:8", "--train-limit", "200", "--jobs", "1"]


class StudyTest(ProgramTest):
    def workers(self, number, *arguments):
        return [self.start(*arguments, "--shard", "auto", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(number)]

    def assert_same_study(self, whole, shared):
        """Check that two studies have the same files and, apart from times, the same results."""
        kill_workers.check(str(pathlib.Path(GRAPES).resolve()), self.folder / whole, self.folder / shared)

    def ends_well(self, program):
        output, said = program.communicate(timeout=300)
        self.assertEqual(program.returncode, 0, said)
        return output


class Workers(StudyTest):
    def test_several_write_what_one_writes(self):
        for name, arguments in [("c", ["compare", *SMALL, "--tune", "--grid", "0.05,0.1"]),
                                ("s", ["compare", *SMALL, "--sweep", "factor-bits={}", "--sweep-values", "0,2"]),
                                ("t", ["continual", *SMALL[:-2], "--jobs", "2", "--tasks", "2", "--tune", "--grid", "0.05,0.1"])]:
            self.good(*arguments, "--out", f"{name}-whole")
            for one in self.workers(2, *arguments, "--out", f"{name}-shared"):
                self.assertIn(f"report: {name}-shared/report.html", self.ends_well(one))
            self.assert_same_study(f"{name}-whole", f"{name}-shared")

    def test_killed_workers_lose_only_their_runs(self):
        done = subprocess.run([sys.executable, ROOT / "tools/kill_workers.py", GRAPES, "--kills", "4", "--seed", "3"],
                              capture_output=True, text=True, timeout=500)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("4 workers killed", done.stdout)

    def test_a_stopped_worker_is_replaced_and_changes_nothing_when_it_wakes(self):
        arguments = ["compare", *SMALL, "--epochs", "60", "--seeds", "1", "--heartbeat", "0.2"]
        self.good(*arguments, "--out", "whole")
        stopped, = self.workers(1, *arguments, "--out", "shared")
        self.wait_for_epoch("shared/arms/bp/seed-1.claims/1/*", 2, stopped)
        stopped.send_signal(signal.SIGSTOP)
        try:
            self.ends_well(*self.workers(1, *arguments, "--out", "shared"))
            self.assertEqual(self.status("shared")["state"], "finished")
        finally:
            stopped.send_signal(signal.SIGCONT)
        self.ends_well(stopped)
        self.assert_same_study("whole", "shared")

    def test_an_interrupted_study_resumes_without_being_told_that_it_is_shared(self):
        arguments = ["compare", *SMALL, "--epochs", "60"]
        worker, = self.workers(1, *arguments, "--out", "shared")
        self.wait_until(lambda: glob.glob(f"{self.folder}/shared/arms/*/*/*/*/checkpoints/last.safetensors"), "there was a checkpoint", worker)
        worker.send_signal(signal.SIGINT)
        output, _ = worker.communicate(timeout=60)
        self.assertEqual(worker.returncode, 130)
        self.assertIn("resume with: grapes compare --resume shared", output)
        self.assert_refused(2, "was begun with --shard auto", *arguments, "--out", "shared", "--shard", "1/2")
        self.good("run", "--resume", "shared", "--quiet")
        self.good(*arguments, "--out", "whole")
        self.assert_same_study("whole", "shared")

    def test_a_full_or_unwritable_folder_is_one_clear_error(self):
        full = self.inside("-t", "tmpfs", "-o", "size=16k", "tmpfs", "DISK")
        done = self.run_program("compare", *SMALL, "--out", "disk/s", "--shard", "auto", before=full)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (3, 1), done.stderr)
        self.assertIn("No space left on device", done.stderr)
        readonly = self.inside("-t", "tmpfs", "-o", "ro", "tmpfs", "DISK")
        self.assert_refused(3, ["disk/s", "Read-only"], "compare", *SMALL, "--out", "disk/s", "--shard", "auto", before=readonly)


class Parts(StudyTest):
    def test_the_last_part_writes_the_report(self):
        first = self.good("compare", *SMALL, "--out", "parts", "--shard", "1/3")
        self.assertIn("2 of 4 runs have ended", first)
        self.assertFalse((self.folder / "parts/report.html").exists())
        self.good("compare", *SMALL, "--out", "parts", "--shard", "3/3")
        self.assertIn("report: parts/report.html", self.good("compare", *SMALL, "--out", "parts", "--shard", "2/3"))
        self.good("compare", *SMALL, "--out", "whole")
        self.assert_same_study("whole", "parts")

    def test_the_plan_is_a_list_of_commands(self):
        file = self.write("x.toml", 'arms = ["bp", "grapes"]\nseeds = 2\nepochs = 1\nmodel = "mlp:8"\n')
        done = self.run_program("run", file, "--learning-rate", "0.2", "--out", "p q", "--plan")
        lines = done.stdout.splitlines()
        self.assertEqual((done.returncode, done.stderr, len(lines)), (0, f"{file}: a comparison\n", 4))
        self.assertTrue(lines[3].endswith(" --learning-rate 0.2 --out 'p q' --shard 4/4  # comparing: grapes, seed 2"), lines[3])
        self.assertFalse((self.folder / "p q").exists(), "a plan writes nothing")
        for line in reversed(lines):
            subprocess.run(line, shell=True, cwd=self.folder, env=self.environment, check=True, capture_output=True)
        self.assertTrue((self.folder / "p q/report.html").exists())
        self.assertEqual(self.good_json("status", "p q")["finished"], 4)

    def test_a_part_leaves_arms_whose_tuning_is_not_done(self):
        arguments = ["compare", *SMALL, "--seeds", "1", "--tune", "--grid", "0.05,0.1", "--out", "t"]
        plan = self.run_program(*arguments[:1], *arguments[2:], "--plan")
        self.assertEqual(len(plan.stdout.splitlines()), 6)
        self.assertIn("Runs whose arm is not tuned yet do nothing", plan.stderr)
        # The second part has the run of bp, whose second trial is in the third part.
        for part, said in [("1/3", "2 of 6 runs have ended"), ("2/3", "3 of 6 runs have ended"), ("3/3", "5 of 6 runs have ended"),
                           ("2/3", "report: t/report.html")]:
            self.assertIn(said, self.good(*arguments, "--shard", part))


class Repeat(StudyTest):
    def test_the_same_command_resumes(self):
        for verb, words in [("train", ["--epochs", "2", "--model", "mlp:8", "--quiet"]), ("compare", SMALL)]:
            out = f"{verb}-out"
            first = self.good(verb, *words, "--out", out)
            files = {path: path.read_bytes() for path in (self.folder / out).rglob("metrics.jsonl")}
            self.assertEqual(self.good(verb, *words, "--out", out), first)
            self.assertEqual({path: path.read_bytes() for path in files}, files, "it was run again")
            self.assert_refused(2, [out, "epochs was '2' there and is '3' here"], verb, *words, "--epochs", "3", "--out", out)
            self.assertEqual(self.good("run", "--resume", out, "--quiet"), first)
        file = self.write("x.toml", 'arms = ["bp", "grapes"]\nseeds = 2\nepochs = 2\nmodel = "mlp:8"\ntrain-limit = 200\njobs = 1\n')
        self.assertEqual(self.good("run", file, "--quiet", "--resume", "compare-out"), first)
        self.assert_refused(2, "seeds was '2' there and is '3' here", "--quiet", "run", file, "--seeds", "3", "--resume", "compare-out")
        self.assert_refused(2, "an experiment file is missing", "run")
        self.write("other/file", "x")
        self.assert_refused(3, "is not an empty folder", "compare", *SMALL, "--out", "other", "--shard", "auto")

    def test_a_killed_comparison_resumes(self):
        arguments = ["compare", *SMALL, "--epochs", "60", "--out", "part"]
        program = self.start(*arguments, stdout=subprocess.DEVNULL)
        self.wait_until((self.folder / "part/arms/bp/seed-1/checkpoints/last.safetensors").exists, "there was a checkpoint", program)
        program.kill()
        program.wait()
        self.good(*arguments)
        self.assertEqual(self.good_json("status", "part")["finished"], 4)

    def test_processes_that_train_together_do_not_repeat_a_study(self):
        for variables in ({"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"},
                          {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NODELIST": "n1"}):
            done = self.run_program("compare", *SMALL, "--out", "a", **variables)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("started 2 processes, and each of them would carry out the same runs", done.stderr)
            self.assertFalse((self.folder / "a").exists())
        self.good("compare", *SMALL, "--out", "a", "--shard", "auto", **variables)

    def test_bad_words(self):
        self.assert_refused(2, "expected auto, or i/N with i from 1 to N", "compare", *SMALL, "--out", "a", "--shard", "0/2")
        self.assert_refused(2, "--shard 3/2", "compare", *SMALL, "--out", "a", "--shard", "3/2")
        self.assert_refused(2, "need --out FOLDER", "compare", *SMALL, "--shard", "auto")
        self.assert_refused(2, "need --out FOLDER", "compare", *SMALL, "--plan")
        self.assert_refused(2, "--heartbeat", "compare", *SMALL, "--out", "a", "--shard", "auto", "--heartbeat", "0")
        file = self.write("one.toml", "epochs = 1\n")
        self.assert_refused(2, "this is a single run", "run", file, "--quiet", "--out", "a", "--shard", "auto")
        self.assert_refused(3, "nowhere has no record", "status", "nowhere")


class Status(StudyTest):
    def test_what_is_done_running_failed_and_waiting(self):
        arguments = ["compare", *SMALL, "--epochs", "5000", "--out", "s"]
        worker, = self.workers(1, *arguments, "--heartbeat", "0.2")
        try:
            self.wait_until((self.folder / "s/compare.json").exists, "there was a record", worker)
            running = self.wait_until(lambda: [run for run in self.good_json("status", "s")["running"] if run["epochs_per_second"]],
                                      "the speed of a run was known", worker)
            self.assertEqual((running[0]["run"], running[0]["epochs"], running[0]["silent"]), ("arms/bp/seed-1", 5000, False))
            self.assertIn(str(worker.pid), running[0]["where"])
            self.assertGreater(running[0]["seconds_left"], 0)
            text = self.good("status", "s")
            self.assertRegex(text, r"^s: 4 runs: 1 running, 3 waiting\nabout .* left\n\nrunning +where +epoch +epochs/min +left\narms/bp/seed-1 .* of 5000 ")
        finally:
            worker.kill()
            worker.communicate()
        self.assertTrue(self.good_json("status", "s")["running"][0]["silent"])

    def test_what_has_ended(self):
        self.good("compare", *SMALL, "--out", "s", "--shard", "1/2")
        run = self.folder / "s/arms/bp/seed-2"
        status = json.loads((run / "status.json").read_text())
        (run / "status.json").write_text(json.dumps({**status, "state": "failed", "message": "no space"}))
        self.assertEqual(self.good("status", "s").splitlines()[:3],
                         ["s: 4 runs: 1 finished, 1 failed, 2 waiting", "", "failed: arms/bp/seed-2 after epoch 2: no space"])
        self.assertIn("This report is unfinished: 2 runs have not ended.", self.good("report", "s"))
        self.assertIn("This report is unfinished", (self.folder / "s/report.html").read_text())
        self.good("compare", *SMALL, "--out", "s")
        self.assertEqual(self.good("status", "s", "--watch"), "s: 4 runs: 4 finished\n")
        self.assertNotIn("unfinished", (self.folder / "s/report.html").read_text())
        self.assertEqual(self.good("status", "s/arms/bp/seed-2"), "s/arms/bp/seed-2: 1 run: 1 finished\n")


if __name__ == "__main__":
    main()
