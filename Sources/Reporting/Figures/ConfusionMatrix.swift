internal import Records

// C classes.

/// Which classes the model takes for which.
struct ConfusionMatrix {
  /// [C][C] samples by true class and the model's class.
  private let table: [[Int]]
  private let names: [String]
  /// [G][G] the same with classes summed to coarse classes, and their names; nil where there are none.
  private let coarse: (table: [[Int]], names: [String])?
  private let split: String

  /// Larger matrices are not drawn.
  static let mostClasses = 20
  /// Confusions in the table of the most frequent ones.
  static let mostFrequent = 12

  /// Nil where the run has none.
  init?(_ run: RunRecord) {
    guard !run.confusion.isEmpty else { return nil }
    table = run.confusion
    names = run.classNames
    split = run.evaluation?.split ?? "newest"
    coarse = run.coarse.map { coarse in
      var sums = coarse.names.map { _ in [Int](repeating: 0, count: coarse.names.count) }
      for (label, row) in run.confusion.enumerated() {
        for (predicted, count) in row.enumerated() {
          sums[coarse.ofClass[label]][coarse.ofClass[predicted]] += count
        }
      }
      return (sums, coarse.names)
    }
  }

  /// The matrix of the classes, or of the coarse classes where there are too many of them; nil where both are too many.
  var figure: Figure? {
    if table.count <= Self.mostClasses { return figure(table, names, noun: "class", plural: "classes") }
    guard let coarse, coarse.names.count <= Self.mostClasses else { return nil }
    return figure(coarse.table, coarse.names, noun: "coarse class", plural: "coarse classes")
  }

  private func figure(_ table: [[Int]], _ names: [String], noun: String, plural: String) -> Figure {
    let samples = table.map { $0.reduce(0, +) }
    func share(_ row: Int, _ column: Int) -> Double {
      samples[row] > 0 ? Double(table[row][column]) / Double(samples[row]) : 0
    }
    let places = table.indices
    let most = places.flatMap { row in places.filter { $0 != row }.map { share(row, $0) } }.max() ?? 0
    let cells = places.map { row in
      places.map { column in
        let count = table[row][column]
        let isRight = row == column
        return HeatMap.Cell(
          shade: isRight ? share(row, column) : share(row, column) / max(most, 1e-9),
          hue: isRight || count == 0 ? .amount : .fault, label: count > 0 ? String(count) : "",
          tip:
            "\(names[row]) taken for \(isRight ? "itself" : names[column]): \(count) of \(samples[row]) samples, "
            + percentText(share(row, column)))
      }
    }
    var map = HeatMap(
      rows: names, columns: names, cells: cells, bars: places.map { share($0, $0) }, barHeading: "right",
      columnHeading: "the model's \(noun); rows: the true \(noun)", scaleHeading: "of the \(noun), right",
      width: names.count > 12 ? 1140 : 560)
    map.faultScale = ("0 %", "\(percentText(most)) of the \(noun), wrong")
    return map.figure(
      name: "confusion", title: "Confusion matrix\(noun == "class" ? "" : ", \(plural)")",
      caption:
        "Samples of the \(split) set by true \(noun) (rows) and the \(noun) that the model gives (columns). "
        + "Blue is right; orange is wrong, on a scale of its own.",
      alternative: "Confusion matrix. "
        + places.map { "\(names[$0]): \(percentText(share($0, $0))) right." }.joined(separator: " ") + " "
        + frequent(of: table, names).joined(separator: ". ") + ".")
  }

  private struct Confusion {
    var label: Int
    var predicted: Int
    var count: Int
  }

  /// Pairs of different classes by falling count; those of equal count by class.
  private func confusions(_ table: [[Int]]) -> [Confusion] {
    let all = table.indices.flatMap { label in
      table.indices.filter { $0 != label && table[label][$0] > 0 }.map {
        Confusion(label: label, predicted: $0, count: table[label][$0])
      }
    }
    return all.sorted { ($1.count, $0.label, $0.predicted) < ($0.count, $1.label, $1.predicted) }
  }

  private func frequent(of table: [[Int]], _ names: [String]) -> [String] {
    confusions(table).prefix(3).map {
      "\(names[$0.label]) is taken for \(names[$0.predicted]) \($0.count) times"
    }
  }

  /// The most frequent confusions, where the classes are too many for a drawing; empty otherwise.
  var frequentTable: String {
    guard table.count > Self.mostClasses else { return "" }
    var html = HTMLTable(
      caption: "The most frequent confusions, \(split) set",
      heading: ["true class", "taken for", "samples", "of the class"], wordColumns: [0, 1])
    for item in confusions(table).prefix(Self.mostFrequent) {
      let samples = table[item.label].reduce(0, +)
      html.rows.append([
        names[item.label], names[item.predicted], countText(item.count),
        percentText(Double(item.count) / Double(samples)),
      ])
    }
    return html.rows.isEmpty ? "" : html.html
  }

  /// The class that is recognised worst, and the most frequent confusion; nil where all is right.
  var sentence: String? {
    guard let most = confusions(table).first else { return nil }
    func right(_ label: Int) -> Double { Double(table[label][label]) / Double(table[label].reduce(0, +)) }
    let worst =
      table.indices.filter { table[$0].reduce(0, +) > 0 }.min { (right($0), $0) < (right($1), $1) } ?? 0
    return
      "\(names[worst]) is recognised least, \(percentText(right(worst))) of it; most often \(names[most.label]) "
      + "is taken for \(names[most.predicted]), \(countText(most.count)) times."
  }
}
