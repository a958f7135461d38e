#!/usr/bin/env python3
"""Write a1-tasks.json: the tasks of the authors' notebook, five permutations that numpy's RandomState(8) draws one after the other.

    experiments/study/a1_tasks.py SCENARIO.json > experiments/study/a1-tasks.json

SCENARIO.json is the file of any run of `grapes continual --scenario all-permuted --tasks 5 --validation-split 0` on MNIST.
It gives the fingerprint of the data and the names of the fields.
"""

import json
import sys

import numpy

tasks = json.load(open(sys.argv[1]))
random = numpy.random.RandomState(8)
for task in tasks["tasks"]:
    task["permutation"] = random.permutation(784).tolist()
tasks["seed"] = 8
json.dump(tasks, sys.stdout, separators=(",", ":"))
print()
