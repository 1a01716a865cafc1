import DataSets
import Files
import Foundation
import Numerics
import Testing
import Training
import launcher

/// One image's way as text: within the width, complete, and clean.
struct SampleTextTests {
  private static let names = ["Trouser", "Ankle boot", "Bag \u{1B}[31m"]

  /// A set of one grey image, dark above and bright below, and one of three colours.
  static func images(width: Int = 28, height: Int = 28, channels: Int = 1) -> ImageSet {
    let shape = ImageShape(channels: channels, height: height, width: width)
    let bytes = (0..<shape.pixels).map { $0 % (height * width) < height * width / 2 ? UInt8(0) : 255 }
    return ImageSet(shape: shape, images: bytes, labels: [1])
  }

  static func detail(experts: Int = 3, parts: [ExpertPart] = [.idle, .mixed, .ran], layers: Int = 1)
    -> SampleDetail
  {
    let gate = (0..<experts).map { $0 == 1 ? Float(0.75) : 0.25 / Float(max(experts - 1, 1)) }
    let layer = SampleDetail.Layer(
      gate: gate, parts: (0..<experts).map { parts[$0 % parts.count] })
    let answers: [[Float]?] = layer.parts.map { $0 == .idle ? nil : [0.25, 0.5, 0.25] }
    return SampleDetail(
      outcome: SampleOutcome(
        sample: 0, label: 1, prediction: 2, probability: 0.625, expert: 1, gateProbabilities: gate),
      distribution: [0.125, 0.25, 0.625], layers: Array(repeating: layer, count: layers),
      answers: layers > 1 ? [] : answers)
  }

  private static func ways(_ details: [SampleDetail]) -> SampleWays {
    let layer = details[0].layers[0]
    return SampleWays(
      details: details, placement: layer.gate.indices.map { $0 % 3 }, ranks: 3,
      costs: SampleCosts(
        gate: 100, trunk: 0, expert: 50, experts: layer.gate.count * details[0].layers.count),
      hasGateOnRoot: true, reasonForAll: nil, oracleNote: nil)
  }

  private static func text(
    _ detail: SampleDetail, columns: Int = 80, colours: TerminalLook.Colours = .none, images: ImageSet? = nil
  ) -> String {
    let ways = ways([detail])
    return SampleText(
      ways,
      stage: SampleStage(owners: ways.placement, ranks: 3, isOfRun: true, hasGateOnRoot: true),
      classNames: names, images: images ?? Self.images(),
      TerminalLook(columns: columns, isTerminal: true, hasBlocks: true, colours: colours)
    ).text(detail)
  }

  private static func withoutColours(_ text: String) -> String {
    text.replacing(/\u{1B}\[[0-9;]*m/, with: "")
  }

  @Test(arguments: [50, 60, 80, 120, 200], [TerminalLook.Colours.none, .palette, .all])
  func noLineIsWiderThanTheTerminal(columns: Int, colours: TerminalLook.Colours) {
    for experts in [1, 3, 100] {
      for channels in [1, 3] {
        let text = Self.text(
          Self.detail(experts: experts, parts: experts == 1 ? [.mixed] : [.idle, .mixed, .ran]),
          columns: columns, colours: colours, images: Self.images(width: 100, channels: channels))
        for line in Self.withoutColours(text).split(separator: "\n") {
          #expect(line.count < columns, "\(line)")
        }
      }
    }
  }

  @Test func itSaysWhoRanAndWhoDidNothing() {
    let text = Self.text(Self.detail(), columns: 200)
    // Experts 1 and 2 on ranks 1 and 2; rank 0 has the gate. Costs: 100 + 2 · 50 of 100 + 3 · 50.
    #expect(text.contains("true class   Ankle boot"))
    #expect(text.contains("0.625, wrong; Ankle boot 0.250"))
    #expect(text.contains("ran          experts 1, 2 of 3, on ranks 1, 2 of the run"))
    #expect(text.contains("did nothing  expert 0\n"))
    #expect(text.contains("200 of 250 of the dense model = 80.0 %"))
    #expect(text.contains("expert 0  rank 0  0.125") && text.contains("ran, left out"))
    #expect(text.contains("  expert 1  Ankle boot 0.500  Trouser 0.250"))
    #expect(text.contains("  mixture   Bag"))
    let one = Self.text(Self.detail(parts: [.idle, .mixed, .idle]), columns: 200)
    #expect(one.contains("did nothing  experts 0, 2; rank 2\n"))
    let deep = Self.text(Self.detail(layers: 2), columns: 200)
    #expect(deep.contains("gate of layer 2") && deep.contains("experts answer hidden rows, not classes"))
  }

  @Test func namesDoNotSteerTheTerminal() {
    let text = Self.text(Self.detail())
    #expect(!text.contains("\u{1B}") && text.contains("Bag \\u{1B}[31m"))
  }

  @Test func picturesAreAsBrightAsTheirPixels() {
    func lines(_ look: TerminalLook, channels: Int = 1, height: Int = 4) -> [String] {
      ImageDrawing(0, of: Self.images(width: 3, height: height, channels: channels), columns: 80, look).lines
    }
    var look = TerminalLook(columns: 80, isTerminal: false, hasBlocks: true, colours: .none)
    #expect(lines(look) == ["", "@@@"])
    look.isTerminal = true
    #expect(lines(look) == ["", "███"])
    look.colours = .all
    // The upper half black and the lower white, in one line of characters.
    #expect(lines(look, channels: 3, height: 2) == ["\u{1B}[38;2;0;0;0;48;2;255;255;255m▀▀▀\u{1B}[0m"])
    look.colours = .palette
    #expect(lines(look, height: 2) == ["\u{1B}[38;5;232;48;5;255m▀▀▀\u{1B}[0m"])
    // 16 is black, 231 white.
    #expect(lines(look, channels: 3, height: 2) == ["\u{1B}[38;5;16;48;5;231m▀▀▀\u{1B}[0m"])
    let wide = ImageDrawing(0, of: Self.images(width: 300, height: 300), columns: 80, look)
    #expect(wide.width == 75 && wide.lines.count == 38)
  }

  @Test func theEnvironmentSaysWhatATerminalShows() {
    let utf8 = ["LANG": "C.UTF-8", "TERM": "xterm-256color"]
    func look(_ more: [String: String], isTerminal: Bool = true) -> TerminalLook {
      TerminalLook(width: nil, isTerminal: isTerminal, utf8.merging(more) { $1 })
    }
    #expect(look([:]).colours == .palette && look([:]).hasBlocks && look([:]).columns == 80)
    #expect(look(["COLORTERM": "truecolor"]).colours == .all)
    #expect(look(["NO_COLOR": "1"]).colours == .none && look(["NO_COLOR": ""]).colours == .palette)
    #expect(look(["TERM": "dumb"]).colours == .none && !look(["TERM": "dumb"]).hasBlocks)
    #expect(look(["TERM": "vt100"]).colours == .none)
    #expect(look([:], isTerminal: false).colours == .none)
    #expect(look(["COLUMNS": "61"]).columns == 61 && !look(["LANG": "C"]).hasBlocks)
  }

  @Test(arguments: [
    ([], "none"), ([4], "4"), ([0, 1], "0, 1"), ([0, 1, 2], "0-2"), ([0, 2, 3, 4, 9], "0, 2-4, 9"),
  ])
  func numbersAreShort(numbers: [Int], words: String) { #expect(numberWords(numbers) == words) }
}
