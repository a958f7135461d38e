#pragma once

/// Grapes: error modulation by unit responsibility on LibTorch (Dellaferrera et al. 2022). This header includes the
/// whole public interface. All other headers are internal and are not installed.
///
///   train an existing model       grapes::backward(loss, *model), Modulator, LocalOptimizer
///   build a model from layers     nn::Linear, Conv2d, Recurrent, Snu, DirectFeedback, ShardedLinear
///   single operations             responsibility, factor, modulate, feedback
///   choose a learning rule        Rule{.route = "fa", .modulation = "grapes", .gain = 2}
///   choose layers of a model      BackwardOptions().rule({.gain = 3}).exclude({"0"})
///
/// Errors are thrown as c10::Error. An argument with a value outside its range throws c10::ValueError, which derives
/// from it.
#include "grapes/core/feedback.h"
#include "grapes/core/modulate.h"
#include "grapes/core/responsibility.h"
#include "grapes/credit/backward.h"
#include "grapes/credit/local_optimizer.h"
#include "grapes/credit/rule.h"
#include "grapes/nn/eprop.h"
#include "grapes/nn/layers.h"
#include "grapes/nn/sharded_linear.h"
#include "grapes/nn/snu.h"
