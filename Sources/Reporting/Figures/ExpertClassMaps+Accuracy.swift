internal import Records

extension ExpertClassMaps {
  /// How many of the samples that choose an expert it gets right itself, by class; nil where they were not counted.
  ///
  /// Of more classes than a page shows well, and coarse ones known, the coarse classes.
  var accuracy: Figure? {
    guard run.correctTables.indices.contains(layer) else { return nil }
    let correct = run.correctTables[layer]
    if samples.count > ConfusionMatrix.mostClasses, let coarse = run.coarse {
      return accuracy(
        coarse.sum(correct), ExpertClassMaps(run, layer: layer, hard: coarse.sum(hard), soft: nil),
        coarse.names,
        heading: "coarse classes")
    }
    return accuracy(correct, self, run.classNames, heading: "classes")
  }

  private func accuracy(_ correct: [[Int]], _ maps: ExpertClassMaps, _ names: [String], heading: String)
    -> Figure
  {
    let columns = maps.order
    let taken = maps.hard.map { $0.reduce(0, +) }
    let right = correct.map { $0.reduce(0, +) }
    func share(_ right: Int, _ of: Int) -> Double { of > 0 ? Double(right) / Double(of) : 0 }
    let shown = Self.shownExperts(taken.map(Double.init), columns: columns.count)
    let cells = shown.map { expert in
      columns.map { column in
        let (all, good) = (maps.hard[expert][column], correct[expert][column])
        return HeatMap.Cell(
          shade: share(good, all), hue: all > 0 ? .amount : .none,
          label: all > 0 ? fixed(100 * share(good, all), 0) : "",
          tip: all > 0
            ? "expert \(expert), \(names[column]): \(good) of \(all) right, \(percentText(share(good, all)))"
            : "expert \(expert), \(names[column]): no sample")
      }
    }
    let map = HeatMap(
      rows: shown.map { "expert \($0)" }, columns: columns.map { names[$0] }, cells: cells,
      bars: shown.map { share(right[$0], taken[$0]) }, barHeading: "of all it takes",
      warnings: RunFigures.warnings(shown.map { Double(taken[$0]) }),
      columnHeading: "\(heading), grouped by the expert that takes most of them", scaleHeading: "right",
      width: columns.count > 12 ? 1140 : 560)
    let words = taken.indices.map {
      taken[$0] > 0 ? "expert \($0) \(percentText(share(right[$0], taken[$0])))" : "expert \($0) takes none"
    }
    return map.figure(
      name: "expert-accuracy\(run.suffix(ofLayer: layer, "-layer-"))",
      title: "Accuracy of each expert by class, in %\(run.suffix(ofLayer: layer))",
      caption:
        "Of the samples that choose an expert, the share whose class this expert itself holds likeliest (where experts "
        + "have no classes of their own, inside a deeper network, the model). A grey cell has no sample.",
      alternative: "Right among the samples that choose it: \(words.joined(separator: ", ")).")
  }

  /// An expert's own accuracy on the samples that choose it; nil where it has none, or they were not counted.
  func accuracy(of expert: Int) -> Double? {
    let taken = hard[expert].reduce(0, +)
    guard run.correctTables.indices.contains(layer), taken > 0 else { return nil }
    return Double(run.correctTables[layer][expert].reduce(0, +)) / Double(taken)
  }
}
