import Dist
import Files
import Records
import Testing

/// A message names settings, and whoever shows it spells them.
struct MessageTests {
  private let rate: Message =
    "\(setting: "top-k", 5) of \(setting: "experts", 4) with \(setting: "patience"), \(setting: "shuffle", false), "
    + "\(setting: "augment", true)"

  @Test func aSettingIsANameOrAnOption() {
    #expect(rate.text(as: .settings) == "top-k 5 of experts 4 with patience, shuffle false, augment true")
    #expect(rate.text(as: .options) == "--top-k 5 of --experts 4 with --patience, --no-shuffle, --augment")
    #expect(rate.description == rate.text(as: .settings) && "" == Message("").text(as: .options))
  }

  /// What looks like an option in a text is a text: a path, or a command that is quoted whole.
  @Test func textsAreNotSpelled() {
    let path = "--top-k"
    for spelling in [Message.Spelling.settings, .options] {
      #expect(Message("a --top-k b").text(as: spelling) == "a --top-k b")
      #expect(("\(path): \(7)" as Message).text(as: spelling) == "--top-k: 7")
    }
  }

  @Test func messagesInMessagesKeepTheirSettings() {
    let inner: Message = "leave out \(setting: "top-k")"
    let outer: Message = "\(setting: "gate", "none"): \(inner), or not"
    #expect(outer.text(as: .options) == "--gate none: leave out --top-k, or not")
    #expect(outer == "\(setting: "gate") none" + ": leave out " + "\(setting: "top-k"), or not")
    #expect(outer != Message(outer.description))
  }

  @Test func aFailureHasBoth() {
    let failure = Failure(.usage, "\(setting: "seed", -1) is not allowed")
    #expect(failure.message == "seed -1 is not allowed" && "\(failure)" == failure.message)
    #expect(failure.words.text(as: .options) == "--seed -1 is not allowed")
  }

  @Test func itTravelsAsText() {
    let odd: Message = "[\"top-k\"] \u{1}\n\(setting: "top-k") {\"a\":null}"
    for message in [rate, odd, "", Message("plain")] { #expect(Message(encoded: message.encoded) == message) }
    for text in ["no list", "[1, {}]x", "{}"] { #expect(Message(encoded: text) == Message(text)) }
  }

  /// Every rank throws the failure of one, whose settings can still be spelled, and which says where it was.
  @Test(arguments: [1, 2, 3])
  func ranksAgreeOnAFailure(ranks: Int) throws {
    let failing = ranks - 1
    let found: [Result<Failure?, any Error>] = onRanks(ranks) { communicator in
      try communicator.agree(on: nil)
      do {
        try communicator.agree(
          on: communicator.rank == failing ? Failure(.badData, "torn; try \(setting: "resume") auto") : nil)
        return nil
      } catch {
        #expect((error as? AgreedError)?.exitCode == ExitCode.badData.rawValue)
        return Failure(behind: error)
      }
    }
    for result in found {
      let failure = try #require(try result.get())
      let words = failure.words.text(as: .options)
      #expect(failure.code == .badData && words.hasSuffix("torn; try --resume auto"))
      #expect(words.hasPrefix("rank \(failing) on host ") == (ranks > 1))
      #expect(failure.message.hasSuffix("torn; try resume auto"))
    }
    let shared: [Result<Void, any Error>] = onRanks(ranks) { communicator in
      try communicator.agree(on: Failure(.usage, "no \(setting: "gate", "x")"))
    }
    for result in shared {
      guard case .failure(let error) = result else {
        Issue.record("nothing was thrown")
        continue
      }
      #expect(Message(error) == "no \(setting: "gate", "x")")
    }
  }
}
