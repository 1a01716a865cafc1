internal import Records

// E experts, C classes.

/// The paper's main figure: which expert takes which classes, by count of chosen expert and by sum of p.
struct ExpertClassMaps {
  let run: RunRecord
  /// From 0.
  let layer: Int
  let hard: [[Int]]
  let soft: [[Double]]?

  /// [C] samples of every class.
  let samples: [Int]
  /// [C] the expert that takes the most samples of a class, the lowest of equals; nil for a class without samples.
  let dominating: [Int?]

  /// Nil for a run without tables of the layer.
  init?(_ run: RunRecord, layer: Int = 0) {
    guard run.hardTables.indices.contains(layer), !run.hardTables[layer].isEmpty else { return nil }
    self.init(
      run, layer: layer, hard: run.hardTables[layer],
      soft: run.softTables.indices.contains(layer) ? run.softTables[layer] : nil)
  }

  init(_ run: RunRecord, layer: Int, hard: [[Int]], soft: [[Double]]?) {
    self.run = run
    self.layer = layer
    self.hard = hard
    self.soft = soft
    let columns = hard[0].indices
    samples = columns.map { column in hard.reduce(0) { $0 + $1[column] } }
    dominating = zip(columns, samples).map { column, all in
      guard all > 0 else { return nil }
      return hard.indices.max { (hard[$0][column], -$0) < (hard[$1][column], -$1) }
    }
  }

  /// More cells than this are more than a page can show; the experts with the most samples stay.
  static let mostCells = 20_000

  /// Numbers of the experts that a figure shows, ascending.
  static func shownExperts(_ amounts: [Double], columns: Int) -> [Int] {
    let most = max(10, mostCells / max(columns, 1))
    guard amounts.count > most else { return Array(amounts.indices) }
    return amounts.indices.sorted { (-amounts[$0], $0) < (-amounts[$1], $1) }.prefix(most).sorted()
  }

  // MARK: - Who takes what

  /// A class's share that its dominating expert takes; 0 for a class without samples.
  func dominatingShare(_ column: Int) -> Double {
    guard let expert = dominating[column] else { return 0 }
    return Double(hard[expert][column]) / Double(samples[column])
  }

  /// Classes grouped by dominating expert, within a group by falling share; classes without samples last.
  var order: [Int] {
    let owners = dominating
    let shares = owners.indices.map { dominatingShare($0) }
    return owners.indices.sorted {
      (owners[$0] ?? .max, -shares[$0], $0) < (owners[$1] ?? .max, -shares[$1], $1)
    }
  }

  // MARK: - Figures

  /// Hard and soft, in groups; then in the data set's order where that is another.
  var figures: [Figure] {
    let grouped = order
    let natural = Array(grouped.indices)
    var all = [map(columns: grouped, isOrdered: true, isSoft: false)]
    if soft != nil { all.append(map(columns: grouped, isOrdered: true, isSoft: true)) }
    if grouped != natural {
      all.append(map(columns: natural, isOrdered: false, isSoft: false))
      if soft != nil { all.append(map(columns: natural, isOrdered: false, isSoft: true)) }
    }
    if let coarse { all.append(coarse) }
    return all
  }

  /// Counts in the data set's order, for runs side by side; of coarse classes where the page has to be small.
  func comparable(title: String, name: String, isBrief: Bool) -> Figure {
    if isBrief, samples.count > ConfusionMatrix.mostClasses, let coarse = run.coarse {
      return map(coarse, isOrdered: false, title: title, name: name)
    }
    return map(columns: Array(samples.indices), isOrdered: false, isSoft: false, title: title, name: name)
  }

  private func map(columns: [Int], isOrdered: Bool, isSoft: Bool, title: String? = nil, name: String? = nil)
    -> Figure
  {
    let words =
      isSoft
      ? "Share of each class by the gate's probabilities: the sum of p over a class's samples."
      : "Share of each class by chosen expert; the numbers are samples."
    let heading = isOrdered ? "classes, grouped by the expert that takes most of them" : "classes"
    let names = run.classNames
    let table = isSoft ? (soft ?? []) : hard.map { $0.map(Double.init) }
    let which = isSoft ? "soft" : "hard"
    return heatMap(
      table: table, columns: columns, names: names, isSoft: isSoft, heading: heading
    ).figure(
      name: name
        ?? "expert-class-\(which)\(isOrdered ? "" : "-by-number")\(run.suffix(ofLayer: layer, "-layer-"))",
      title: title
        ?? (isSoft ? "Expert × class, soft (sum of p)" : "Expert × class, hard (chosen expert)")
          + run.suffix(ofLayer: layer),
      caption: words, alternative: sentence(names))
  }

  private func sentence(_ names: [String]) -> String {
    let owners = dominating
    return "Experts by class. "
      + owners.indices.map { column in
        guard let expert = owners[column] else { return "\(names[column]): no samples." }
        return "\(names[column]): expert \(expert) takes \(percentText(dominatingShare(column)))."
      }.joined(separator: " ")
  }

  /// The shades are shares of a column, so that classes of different size compare.
  private func heatMap(
    table: [[Double]], columns: [Int], names: [String], isSoft: Bool, heading: String
  ) -> HeatMap {
    let sums = table.map { $0.reduce(0, +) }
    let total = max(sums.reduce(0, +), 1e-12)
    let shown = Self.shownExperts(sums, columns: columns.count)
    let cells = shown.map { expert in
      columns.map { column in
        let value = table[expert][column]
        let share = samples[column] > 0 ? value / Double(samples[column]) : 0
        let amount = isSoft ? fixed(value, 1) : fixed(value, 0)
        return HeatMap.Cell(
          shade: share, label: fixed(value, 0),
          tip:
            "expert \(expert), \(names[column]): \(amount) of \(samples[column]) samples, \(percentText(share))"
        )
      }
    }
    let bars = shown.map { sums[$0] / total }
    return HeatMap(
      rows: shown.map { "expert \($0)" }, columns: columns.map { names[$0] }, cells: cells, bars: bars,
      barHeading: isSoft ? "mean p" : "of all samples",
      warnings: isSoft ? [:] : RunFigures.warnings(bars), columnHeading: heading,
      scaleHeading: "of the class", width: columns.count > 12 ? 1140 : 560)
  }

  /// The same with the classes summed to coarse classes, where the data set has them.
  private var coarse: Figure? {
    run.coarse.map {
      map(
        $0, isOrdered: true,
        title: "Expert × coarse class, hard (chosen expert)\(run.suffix(ofLayer: layer))",
        name: "expert-coarse-class\(run.suffix(ofLayer: layer, "-layer-"))")
    }
  }

  private func map(_ coarse: CoarseClasses, isOrdered: Bool, title: String, name: String) -> Figure {
    let names = coarse.names
    let maps = ExpertClassMaps(run, layer: layer, hard: coarse.sum(hard), soft: nil)
    return maps.heatMap(
      table: maps.hard.map { $0.map(Double.init) }, columns: isOrdered ? maps.order : Array(names.indices),
      names: names, isSoft: false,
      heading: "coarse classes" + (isOrdered ? ", grouped by the expert that takes most of them" : "")
    ).figure(
      name: name, title: title,
      caption: "Share of each coarse class by chosen expert; the numbers are samples.",
      alternative: maps.sentence(names))
  }
}
