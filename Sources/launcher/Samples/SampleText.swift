package import DataSets
import Dist
import Foundation
import Records
package import Training

/// One image's way as text for people: the image, what is known of it, the gates' probabilities as bars, and what the
/// experts answered. Names are clean of what would steer a terminal; the image may have colours.
package struct SampleText {
  private let ways: SampleWays
  private let stage: SampleStage
  private let classNames: [String]
  private let images: ImageSet
  private let look: TerminalLook

  /// Of so many experts all are shown, of more those that matter most.
  private static let shownExperts = 24
  private static let indent = "  "

  /// - Parameter images: the set that the samples are of.
  package init(
    _ ways: SampleWays, stage: SampleStage, classNames: [String], images: ImageSet, _ look: TerminalLook
  ) {
    self.ways = ways
    self.stage = stage
    self.classNames = classNames.map(\.printableLine)
    self.images = images
    self.look = look
  }

  /// Lines within the width, from 50 columns on, each with its end.
  package func text(_ detail: SampleDetail) -> String {
    var lines = top(detail)
    for (number, layer) in detail.layers.enumerated() where layer.gate.count > 1 {
      let title = detail.layers.count > 1 ? "gate of layer \(number + 1)" : "gate"
      lines += ["", title] + bars(layer)
    }
    lines += ["", "answers"] + answers(detail)
    return lines.map { $0 + "\n" }.joined()
  }

  // MARK: The image and the facts

  private func top(_ detail: SampleDetail) -> [String] {
    let picture = ImageDrawing(
      detail.outcome.sample, of: images, columns: min(max(look.columns - 3, 1), 64), look)
    let facts = facts(detail)
    let left = picture.width + 4
    guard look.columns - left >= 46 else {
      return picture.lines.map { Self.indent + $0 } + [""]
        + facts.flatMap { fact($0.name, $0.words, width: look.columns - 1) }
    }
    let beside = facts.flatMap { fact($0.name, $0.words, width: look.columns - 1 - left) }
    return (0..<max(picture.lines.count, beside.count)).map { row in
      let line = picture.lines.indices.contains(row) ? picture.lines[row] : ""
      guard beside.indices.contains(row) else { return Self.indent + line }
      // A coloured line is as wide as the image, whatever its bytes.
      let shown = look.colours == .none || line.isEmpty ? line.count : picture.width
      return Self.indent + line + String(repeating: " ", count: picture.width + 2 - shown) + beside[row]
    }
  }

  private func name(_ number: Int) -> String {
    classNames.indices.contains(number) ? classNames[number] : "class \(number)"
  }

  private func facts(_ detail: SampleDetail) -> [(name: String, words: String)] {
    let outcome = detail.outcome
    var facts: [(String, String)] = []
    var said = "\(name(outcome.prediction)) \(probability(outcome.probability))"
    if let label = outcome.label {
      facts.append(("true class", name(label)))
      said +=
        label == outcome.prediction
        ? ", right" : ", wrong; \(name(label)) \(probability(detail.distribution[label]))"
    }
    facts.append(("model", said))
    if let layer = detail.layers.first, layer.gate.count > 1 {
      let bound = fixed(log2(Double(layer.gate.count)), 2)
      facts.append(
        (
          "gate",
          "prefers expert \(outcome.expert); entropy \(fixed(layer.entropy, 2)) of at most \(bound) bits"
        ))
    }
    facts.append(("ran", ran(detail)))
    facts.append(("did nothing", idle(detail)))
    let (done, dense) = (ways.costs.flops(detail), ways.costs.dense)
    facts.append(
      (
        "FLOPs",
        done == dense
          ? "\(withPrefix(Double(done))), those of the dense model"
          : "\(withPrefix(Double(done))) of \(withPrefix(Double(dense))) of the dense model = "
            + "\(fixed(100 * Double(done) / Double(max(dense, 1)), 1)) %"
      ))
    return facts
  }

  private func ran(_ detail: SampleDetail) -> String {
    let count = detail.layers.first?.parts.count ?? 0
    let ranks = "on \(Self.named("rank", stage.busy(detail)))\(stage.isOfRun ? " of the run" : "")"
    guard count > 1 else { return "one expert, \(ranks): a single model" }
    let total = detail.layers.reduce(0) { $0 + $1.ran.count }
    let dense = count * detail.layers.count
    let isAll = total == dense
    var words =
      isAll
      ? "every expert, \(ranks)"
      : detail.layers.count > 1
        ? "\(total) of \(dense) experts of all layers, \(ranks)"
        : "\(Self.named("expert", detail.layers[0].ran)) of \(count), \(ranks)"
    if isAll { words += ": \(ways.reasonForAll ?? "the mixture takes every answer")" }
    return words
  }

  private func idle(_ detail: SampleDetail) -> String {
    let ranks = stage.idle(detail)
    var parts: [String] = []
    if detail.layers.count == 1 {
      let idle = detail.layers[0].parts.indices.filter { detail.layers[0].parts[$0] == .idle }
      if !idle.isEmpty { parts.append(Self.named("expert", idle)) }
    } else {
      let idle = detail.layers.reduce(0) { $0 + $1.parts.count - $1.ran.count }
      if idle > 0 { parts.append("\(idle) experts of all layers") }
    }
    if !ranks.isEmpty { parts.append(Self.named("rank", ranks)) }
    return parts.isEmpty ? "nobody" : parts.joined(separator: "; ")
  }

  private static func named(_ what: String, _ numbers: [Int]) -> String {
    "\(what)\(numbers.count == 1 ? "" : "s") \(numberWords(numbers))"
  }

  /// A fact behind its name; what does not fit goes on below.
  private func fact(_ name: String, _ words: String, width: Int) -> [String] {
    let column = 13
    var lines: [String] = []
    var line = ""
    for word in words.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > max(width - column, 12) {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    lines.append(line)
    return lines.enumerated().map { padded($0.offset == 0 ? name : "", column) + $0.element }
  }

  // MARK: Gate and answers

  /// The experts that are shown: all, or those that ran and are most probable, in ascending order.
  private func shown(_ layer: SampleDetail.Layer) -> [Int] {
    let all = layer.gate.indices
    guard all.count > Self.shownExperts else { return Array(all) }
    return all.sorted {
      (layer.parts[$0] == .mixed ? 1 : 0, layer.gate[$0], -$0)
        > (layer.parts[$1] == .mixed ? 1 : 0, layer.gate[$1], -$1)
    }.prefix(Self.shownExperts).sorted()
  }

  private func bars(_ layer: SampleDetail.Layer) -> [String] {
    let shown = shown(layer)
    let rows = shown.map { expert in
      (
        name: "expert \(expert)  rank \(stage.owners[expert])", p: probability(layer.gate[expert]),
        share: Double(layer.gate[expert]),
        part: layer.parts[expert] == .idle
          ? "did nothing" : layer.parts[expert] == .ran ? "ran, left out" : "ran"
      )
    }
    let first = rows.map(\.name.count).max() ?? 0
    let last = rows.map(\.part.count).max() ?? 0
    let length = min(max(look.columns - 1 - first - 6 - last - 8, 4), 50)
    var lines = rows.map {
      Self.indent + padded($0.name, first + 2) + $0.p + "  " + bar($0.share, length: length) + "  " + $0.part
    }
    let others = layer.gate.indices.filter { !shown.contains($0) }
    if !others.isEmpty {
      let sum = others.reduce(Float(0)) { $0 + layer.gate[$1] }
      lines.append(Self.indent + "\(others.count) more, \(probability(sum)) together")
    }
    return lines
  }

  private func answers(_ detail: SampleDetail) -> [String] {
    var rows: [(String, [Float])] = []
    let isMixture = detail.answers.count > 1
    if let layer = detail.layers.first, isMixture {
      for expert in shown(layer) {
        guard let answer = detail.answers[expert] else { continue }
        rows.append(("expert \(expert)", answer))
      }
    }
    var lines: [String] = []
    if detail.answers.isEmpty {
      lines.append(Self.indent + "experts answer hidden rows, not classes")
    }
    rows.append((isMixture ? "mixture" : "model", detail.distribution))
    let first = rows.map(\.0.count).max() ?? 0
    for (name, distribution) in rows {
      var line = Self.indent + padded(name, first + 2)
      let begin = line.count
      for top in SampleDetail.top(3, of: distribution) {
        let words = "\(self.name(top.class)) \(probability(top.probability))"
        guard line.count == begin || line.count + 2 + words.count < look.columns else { break }
        line += (line.count == begin ? "" : "  ") + words
      }
      lines.append(line)
    }
    return lines
  }

  // MARK: Pieces

  /// Five characters.
  private func probability(_ value: Float) -> String {
    if value > 0, value < 0.0005 { return "<.001" }
    return value < 1 && value >= 0.9995 ? ">.999" : fixed(Double(value), 3)
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }

  private func bar(_ share: Double, length: Int) -> String {
    let hasBlocks = look.hasBlocks && look.isTerminal
    let full = min(max(Int((share * Double(length)).rounded()), share > 0.0005 ? 1 : 0), length)
    return String(repeating: hasBlocks ? "━" : "#", count: full)
      + String(repeating: hasBlocks ? "┄" : ".", count: length - full)
  }
}
