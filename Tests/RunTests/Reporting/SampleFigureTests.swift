import DataSets
import Files
import Foundation
import Numerics
import Reporting
import Testing
import Training

/// The images whose way a run has recorded, on its page.
struct SampleFigureTests {
  /// `samples.json` of the run of three experts: an image of class 1 (b), right, by expert 1 alone.
  private func record(images: Bool = true, experts: Int = 3) -> JSONValue {
    let shape = images ? ImageShape(channels: 1, height: 28, width: 28) : nil
    let set = shape.map { ImageSet(shape: $0, images: [UInt8](repeating: 9, count: $0.pixels), labels: [1]) }
    let gate = (0..<experts).map { $0 == 1 ? Float(0.75) : 0.25 / Float(experts - 1) }
    let parts = (0..<experts).map { $0 == 1 ? ExpertPart.mixed : .idle }
    let detail = SampleDetail(
      outcome: SampleOutcome(
        sample: 0, label: 1, prediction: 1, probability: 0.5, expert: 1, gateProbabilities: gate),
      distribution: [0.125, 0.5, 0.25, 0.125], layers: [.init(gate: gate, parts: parts)],
      answers: parts.map { $0 == .idle ? nil : [0.125, 0.625, 0.125, 0.125] })
    return SampleRecord([detail], reasons: [.right], images: set, epoch: 3, step: 12).json
  }

  @Test func thePageShowsWhoRan() throws {
    let run = try FakeRun()
    try run.fill()
    try run.write("samples.json", record().text())
    let page = try run.page()
    let parsed = try ParsedXML(page)
    #expect(parsed.named("h3").map(\.text).contains("What happens to an image"))
    #expect(parsed.named("h4").map(\.text).contains("Test image 0: b, right"))
    // Experts live on ranks 0, 1, 1, and rank 0 has the gate.
    #expect(page.contains("One of the first that the model gets right. 1 of 3 experts ran."))
    let figure = try DrawnShapes(try #require(try run.figures()["sample-1.svg"]))
    let words = figure.shapes.filter { $0.name == "text" }.map(\.text)
    #expect(words.contains("expert 1 · rank 1") && words.contains("b 0.63"))
    #expect(words.count { $0 == "did nothing" } == 2 && words.contains("b 0.50, c 0.25"))
    #expect(figure.shapes.compactMap(\.title).contains("expert 1: p = 0.7500"))
    // A bar is as long as its probability.
    let bars = figure.shapes.filter { $0.name == "rect" }.map { $0["width"] }
    #expect(bars.count == 3 && abs(bars[1] / bars[0] - 6) < 0.1)
    #expect(page.contains("href=\"data:image/png;base64,"))
    try run.write("samples.json", record(images: false).text())
    #expect(try !run.page().contains("<image"))
  }

  @Test func aRecordOfOtherExpertsIsLeftOut() throws {
    let run = try FakeRun()
    try run.fill()
    // Of other experts than the run has: of another run.
    try run.write("samples.json", record(experts: 12).text())
    #expect(try !run.page().contains("What happens to an image"))
  }

  @Test func classNamesStayText() throws {
    let run = try FakeRun()
    try run.fill(classNames: ["a", "<script>\"'&", "c", "d"])
    try run.write("samples.json", record().text())
    let page = try run.page()
    #expect(!page.contains("<script") && page.contains("Test image 0: &lt;script&gt;"))
    _ = try ParsedXML(page)
  }

  @Test(arguments: [
    (#""ran":[1]"#, #""ran":[7]"#, "samples[0].layers[0].ran"),
    (#""image":""#, #""image":"AA"#, "samples[0].image"),
    (#""label":1"#, #""label":-1"#, "samples[0].label"),
    (#""gate":[0.125,"#, #""gate":["#, "samples[0]"),
    (#""probability":0.625"#, #""probability":1e9"#, "probability"),
    ("{", "[", "no JSON"),
  ])
  func damageIsNamed(text: String, damage: String, place: String) throws {
    let run = try FakeRun()
    try run.fill()
    let whole = record().text()
    #expect(whole.contains(text))
    try run.write("samples.json", whole.replacing(text, with: damage, maxReplacements: 1))
    do {
      _ = try run.page()
      Issue.record("it was read")
    } catch {
      let failure = try #require(error as? Failure)
      #expect(failure.code == .badData && failure.message.contains(place), "\(failure.message)")
    }
  }
}
