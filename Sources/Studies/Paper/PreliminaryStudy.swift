// Krishnamurthy et al., section 3: bad decompositions have no training advantage; gradient descent does not find good ones.

extension Study {
  /// Six models on three data sets: trained from scratch; gate of that frozen and experts trained again; experts trained
  /// on a split of the classes made by hand, frozen, and a gate trained; that gate frozen and experts trained again.
  static func preliminary(_ request: PaperRequest) -> Study {
    let sets = [
      PreliminarySet(
        prefix: "mnist", group: "MNIST", dataset: "mnist", experts: 5,
        splits: [
          "0,7/1,9/2,4/3,8/5,6", "4,6/1,7/2,9/3,8/0,5", "4,7/0,6/3,8/1,2/5,9", "5,8/6,9/1,3/0,2/4,7",
          "2,8/3,6/0,5/4,7/1,9",
        ]),
      PreliminarySet(
        prefix: "combined", group: "FashionMNIST and MNIST, 12 classes", dataset: "fashion-mnist+mnist",
        experts: 6,
        splits: [
          "0,1/2,3/4,5/6,7/8,9/10,11", "0,3/1,4/2,5/6,9/7,11/8,10", "0,5/1,2/3,4/6,8/7,10/9,11",
        ]),
      PreliminarySet(
        prefix: "fashion-mnist", group: "FashionMNIST", dataset: "fashion-mnist", experts: 5,
        splits: [
          "1,8/0,6/4,9/5,7/2,3", "3,5/1,4/0,6/8,9/2,7", "2,9/3,4/7,8/0,5/1,6", "0,2/7,9/3,6/5,8/1,4",
          "2,5/4,6/0,9/3,8/1,7",
        ]),
    ]
    var study = Study(
      name: PaperTable.preliminary.rawValue, title: "The preliminary experiment: decompositions made by hand",
      methods: sets.flatMap(\.methods), seeds: 0,
      common: [
        StudySetting("batch-size", "64"), StudySetting("epochs", "20"),
        StudySetting("learning-rate", "0.001"),
        StudySetting("mean", "0.5"), StudySetting("std", "0.5"), StudySetting("train-samples", "10000"),
        StudySetting("test-samples", "2000"), StudySetting("validation-fraction", "0"),
      ],
      claims: sets.flatMap(\.claims), published: PublishedFigures.preliminary,
      caveats: [
        "Model 4 has as many splits made by hand as are published (5, 3 and 5); seed i takes split i, beginning again "
          + "after the last.",
        "Experts of model 4 are trained together, each sample going to the expert of its class, in batches of 64 per "
          + "expert on average.",
      ], publishedCaveats: [Caveats.batchNorm, Caveats.lossOfTraining] + Caveats.all)
    study.metrics = StudyMetric.allCases
    return study
  }
}

private struct PreliminarySet {
  let prefix: String
  let group: String
  let dataset: String
  let experts: Int
  /// Splits of the classes among the experts, as `expert-classes` takes them.
  let splits: [String]

  var methods: [StudyMethod] {
    let softmax = StudySetting("gate", "softmax")
    let gateOnly = [softmax, StudySetting("init-only", "gate"), StudySetting("freeze", "gate")]
    let expertsOnly = [softmax, StudySetting("init-only", "experts"), StudySetting("freeze", "experts")]
    var pretrained = method(
      "pretrained", "experts for 4",
      [StudySetting("gate", "classes"), StudySetting("batch-size", String(64 * experts))])
    pretrained.perSeed = splits.map { [StudySetting("expert-classes", $0)] }
    pretrained.isHidden = true
    return [
      method("1", "1 from scratch", [softmax]),
      method("2", "2 gate of 1, initial experts again", gateOnly, from: "1"),
      method("3", "3 gate of 1, fresh experts", gateOnly, from: "1", seedOffset: 1000),
      pretrained,
      method("4", "4 split by hand", expertsOnly, from: "pretrained"),
      method("5", "5 gate of 4, initial experts", gateOnly, from: "4"),
      method("6", "6 gate of 4, fresh experts", gateOnly, from: "4", seedOffset: 1000),
    ]
  }

  private func method(
    _ name: String, _ label: String, _ settings: [StudySetting], from source: String? = nil,
    seedOffset: Int = 0
  ) -> StudyMethod {
    var method = StudyMethod(
      name: "\(prefix)-\(name)", label: label, group: group,
      settings: [StudySetting("dataset", dataset), StudySetting("experts", String(experts))] + settings)
    method.source = source.map { StudyMethod.Source(method: "\(prefix)-\($0)", key: "init-from") }
    method.seedOffset = seedOffset
    return method
  }

  var claims: [StudyClaim] {
    func claim(_ text: String, _ metric: StudyMetric, _ smaller: String, _ larger: String) -> StudyClaim {
      StudyClaim(group, text, metric, smaller: "\(prefix)-\(smaller)", larger: "\(prefix)-\(larger)")
    }
    return [
      claim(
        "a better decomposition exists: lower training loss by hand than from scratch", .trainingLoss, "4",
        "1"),
      claim(
        "a better decomposition exists: lower training loss of fresh experts under its gate than from scratch",
        .trainingLoss, "6", "1"),
      claim("it is not found: lower I(E;Y) from scratch than by hand", .mutualInformation, "1", "4"),
      claim("it is not found: experts are less used from scratch than by hand", .usageEntropy, "1", "4"),
      claim("the decomposition of 1 has no training advantage: fresh experts err more", .error, "1", "3"),
    ]
  }
}
