internal import Records

/// The images themselves by expert, a row for each, with what the expert takes most.
struct ExpertImages {
  private let run: RunRecord
  private let picture: (file: [UInt8], width: Int, height: Int)
  private let experts: Int

  /// The width of the words beside the rows.
  private static let labels = 240.0

  /// Nil where no images were kept, or those of another number of experts.
  init?(_ run: RunRecord) {
    guard let picture = run.expertImages, run.experts > 1, picture.height % run.experts == 0 else {
      return nil
    }
    self.run = run
    self.picture = picture
    experts = run.experts
  }

  private func isNeverChosen(_ expert: Int) -> Bool {
    run.shares(ofLayer: 0).map { $0.indices.contains(expert) && $0[expert] == 0 } ?? false
  }

  /// An expert's share of the samples; empty where it is not known.
  private func share(_ expert: Int) -> String {
    guard let shares = run.shares(ofLayer: 0), shares.indices.contains(expert) else { return "" }
    return shares[expert] > 0 ? percentText(shares[expert]) : "never chosen"
  }

  /// The largest classes of an expert with their share of its samples, such as `Sneaker 61 %, Bag 30 %`.
  private func classes(_ expert: Int) -> String {
    guard let table = run.hardTables.first, table.indices.contains(expert) else { return "" }
    let counts = table[expert]
    let sum = Double(counts.reduce(0, +))
    let largest = counts.indices.sorted { (counts[$0], -$0) > (counts[$1], -$1) }.prefix(3)
    let words = largest.filter { sum > 0 && Double(counts[$0]) >= 0.05 * sum }
      .map { "\(run.classNames[$0]) \(fixed(100 * Double(counts[$0]) / sum, 0)) %" }
    var text = ""
    for (index, word) in words.enumerated() {
      let longer = text + (index == 0 ? "" : ", ") + word
      if index > 0, SVGCanvas.width(of: longer, size: 11) > Self.labels - 8 { break }
      text = longer
    }
    return text
  }

  var figure: Figure {
    let (labels, width) = (Self.labels, 860.0)
    // Half steps, so that pixels look alike.
    let fitting = ((width - labels) / Double(picture.width) * 2).rounded(.down) / 2
    let scale = fitting >= 1 ? min(fitting, 4) : (width - labels) / Double(picture.width)
    let shown = (width: Double(picture.width) * scale, height: Double(picture.height) * scale)
    // Two lines of words fit beside a row.
    let row = max(shown.height / Double(experts), 30)
    let factor = row * Double(experts) / shown.height
    var canvas = SVGCanvas()
    canvas.picture(
      picture.file, labels, 0, shown.width * factor, shown.height * factor,
      tip: "a row of images for every expert")
    for expert in 0..<experts {
      if isNeverChosen(expert) {
        // The picture is white where there are no images, which a dark page is not.
        canvas.rectangle(labels, Double(expert) * row, shown.width * factor, row, fill: "#ffffff")
      }
      let middle = (Double(expert) + 0.5) * row
      let classes = classes(expert)
      canvas.text(
        "expert \(expert) · \(share(expert))", 0, middle + (classes.isEmpty ? 4 : -3), size: 12, bold: true)
      if !classes.isEmpty { canvas.text(classes, 0, middle + 11, size: 11, fill: Palette.muted) }
    }
    return Figure(
      name: "expert-images", title: "Images by expert",
      caption:
        "The first test images that choose each expert, in the order of the test set; beside them the expert's share of the samples "
        + "and the classes, three at most, that make up at least 5 % of them.",
      alternative: "Experts and the classes they take. "
        + (0..<experts).map { "Expert \($0): \(share($0)); \(classes($0))." }.joined(separator: " "),
      width: labels + shown.width * factor, height: row * Double(experts), canvas: canvas)
  }
}
