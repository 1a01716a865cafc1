internal import CLanes
public import KernelInterface

extension Kernels {
  @inline(never)
  public static func attentionScores(
    queries: FeatureMap, answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into scores: FeatureMap
  ) {
    let s = lanes_splat(scale)
    for expert in 0..<scores.features {
      var column = 0
      while column < scores.columns {
        var sum = lanes_splat(0)
        for h in 0..<layout.hidden {
          let hidden = answers[layout.feature(slot: expert, hidden: h)] + column
          sum = lanes_fma(lanes_load(queries[h] + column), lanes_load(hidden), sum)
        }
        lanes_store(scores[expert] + column, sum * s)
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func attentionQueryGradient(
    _ gradient: FeatureMap, answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into result: FeatureMap
  ) {
    let s = lanes_splat(scale)
    for h in 0..<layout.hidden {
      var column = 0
      while column < gradient.columns {
        var sum = lanes_splat(0)
        for expert in 0..<gradient.features {
          let hidden = answers[layout.feature(slot: expert, hidden: h)] + column
          sum = lanes_fma(lanes_load(gradient[expert] + column), lanes_load(hidden), sum)
        }
        lanes_store(result[h] + column, sum * s)
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func attentionKeyGradient(
    _ gradient: FeatureMap, queries: FeatureMap, _ layout: AnswerLayout, scale: Float,
    into answers: FeatureMap
  ) {
    let s = lanes_splat(scale)
    for expert in 0..<gradient.features {
      for h in 0..<layout.hidden {
        let target = answers[layout.feature(slot: expert, hidden: h)]
        var column = 0
        while column < gradient.columns {
          let product = lanes_load(gradient[expert] + column) * lanes_load(queries[h] + column)
          lanes_store(target + column, product * s)
          column &+= laneCount
        }
      }
    }
  }

  @inline(never)
  public static func negativeEntropies(
    answers: FeatureMap, _ layout: AnswerLayout, scale: Float, into scores: FeatureMap
  ) {
    let s = lanes_splat(scale)
    let lowest = lanes_splat(lowestLogarithm)
    for expert in 0..<scores.features {
      var column = 0
      while column < scores.columns {
        var sum = lanes_splat(0)
        for c in 0..<layout.classes {
          let logY = lanes_load(answers[layout.feature(slot: expert, class: c)] + column)
          sum = lanes_fma(lanes_exp(logY), lanes_at_least(logY, lowest), sum)
        }
        lanes_store(scores[expert] + column, sum * s)
        column &+= laneCount
      }
    }
  }

  @inline(never)
  public static func divergence(
    known: FeatureMap, learned: FeatureMap, share: Float, gradient: FeatureMap, losses: Floats
  ) {
    let s = lanes_splat(share)
    let lowest = lanes_splat(lowestLogarithm)
    var column = 0
    while column < known.columns {
      var divergence = lanes_splat(0)
      for expert in 0..<known.features {
        let logT = lanes_load(known[expert] + column)
        let logS = lanes_load(learned[expert] + column)
        let p = lanes_exp(logT)
        divergence = lanes_fma(p, lanes_at_least(logT, lowest) - logS, divergence)
        lanes_store(gradient[expert] + column, (lanes_exp(logS) - p) * s)
      }
      lanes_store(losses + column, divergence)
      column &+= laneCount
    }
  }
}

/// e to this is zero in single precision; a bound on ln p that keeps 0 · −∞ out of sums, and NaN in them.
@inline(__always) var lowestLogarithm: Float { -103 }
