/// Where a method's weight of its regulariser comes from.
enum SettingsChoice {
  /// The authors' grid, by mean validation error.
  case grid
  /// Written down before the first run.
  case fixed
  /// As fixed, and distillation by labels, as the authors did.
  case published
}

/// The methods that the paper's main tables compare, on one data set with one pair of networks.
struct MixtureMethods {
  /// Before every name.
  let prefix: String
  let group: String
  let settings: [StudySetting]
  /// The authors' grid of β_s, in their scaling.
  let similarity: [String]
  let publishedSimilarity: String
  let choice: SettingsChoice

  private static let importance = ["0.2", "0.4", "0.6", "0.8", "1"]

  /// The single model, and both gates without a regulariser and with each.
  var methods: [StudyMethod] {
    var list = [method("single", "single", "none")]
    for (gate, kind) in [("original", "softmax"), ("attentive", "attentive")] {
      list.append(method(gate, gate, kind))
      var importance = method("\(gate)-importance", "\(gate) + L_imp", kind)
      importance.candidates = (choice == .grid ? Self.importance : ["0.6"]).map {
        [StudySetting("importance", $0)]
      }
      list.append(importance)
      var similar = method(
        "\(gate)-similarity", "\(gate) + L_s", kind, [StudySetting("similarity-scaling", "authors")])
      similar.candidates = (choice == .grid ? similarity : [publishedSimilarity]).map {
        [StudySetting("similarity", $0)]
      }
      list.append(similar)
    }
    return list
  }

  /// Attentive models with a regulariser, turned into ones with a plain gate.
  var distilled: [StudyMethod] {
    [("importance", "L_imp"), ("similarity", "L_s")].map { regulariser, symbol in
      var method = method(
        "distilled-\(regulariser)",
        "distilled (\(choice == .published ? "labels" : "KL")) from attentive + \(symbol)",
        "softmax",
        [StudySetting("distill-loss", choice == .published ? "labels" : "kl")])
      method.source = StudyMethod.Source(method: "\(prefix)attentive-\(regulariser)", key: "distill-from")
      method.isEvaluatedConditionally = true
      return method
    }
  }

  private func method(
    _ name: String, _ label: String, _ gate: String, _ more: [StudySetting] = []
  ) -> StudyMethod {
    StudyMethod(
      name: prefix + name, label: label, group: group,
      settings: settings + [StudySetting("gate", gate)] + more)
  }

  /// The paper's claims about gates and regularisers.
  var claims: [StudyClaim] {
    [
      claim("the original mixture under-uses its experts", .usageEntropy, "original", "original-importance"),
      claim("the attentive gate raises I(E;Y)", .mutualInformation, "original", "attentive"),
      claim(
        "the attentive gate raises I(E;Y), both with L_imp", .mutualInformation, "original-importance",
        "attentive-importance"),
      claim(
        "the attentive gate raises I(E;Y), both with L_s", .mutualInformation, "original-similarity",
        "attentive-similarity"),
      claim("the attentive gate lowers H_s (claimed for MNIST)", .sampleEntropy, "attentive", "original"),
      claim(
        "L_imp equalises use, with the attentive gate", .usageEntropy, "attentive", "attentive-importance"),
      claim("L_imp costs H_s", .sampleEntropy, "original", "original-importance"),
      claim("L_s raises I(E;Y)", .mutualInformation, "original", "original-similarity"),
      claim(
        "L_s raises I(E;Y), with the attentive gate", .mutualInformation, "attentive", "attentive-similarity"),
      claim(
        "L_s does not force equal use as L_imp does", .usageEntropy, "original-similarity",
        "original-importance"),
      claim("attentive + L_imp errs less than original", .error, "attentive-importance", "original"),
      claim("attentive + L_s errs less than original", .error, "attentive-similarity", "original"),
      claim(
        "attentive + L_imp errs less than original + L_imp", .error, "attentive-importance",
        "original-importance"),
      claim(
        "attentive + L_s errs less than original + L_s", .error, "attentive-similarity", "original-similarity"
      ),
      claim("attentive + L_imp errs less than attentive", .error, "attentive-importance", "attentive"),
      claim("attentive + L_s errs less than attentive", .error, "attentive-similarity", "attentive"),
    ]
  }

  /// Distillation is free: no more than .005 in error, .01 where only the arg-max expert runs.
  var distillationClaims: [StudyClaim] {
    [("importance", "L_imp"), ("similarity", "L_s")].flatMap { regulariser, symbol in
      [
        claim(
          "distillation is free, from attentive + \(symbol)", .error, "distilled-\(regulariser)",
          "attentive-\(regulariser)", margin: 0.005),
        claim(
          "distillation is free, conditional, from attentive + \(symbol)", .error,
          "distilled-\(regulariser)-conditional", "attentive-\(regulariser)", margin: 0.01),
      ]
    }
  }

  private func claim(
    _ text: String, _ metric: StudyMetric, _ smaller: String, _ larger: String, margin: Double? = nil
  ) -> StudyClaim {
    StudyClaim(group, text, metric, smaller: prefix + smaller, larger: prefix + larger, margin: margin)
  }
}
