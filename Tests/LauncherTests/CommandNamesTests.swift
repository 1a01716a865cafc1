import Testing
import launcher

struct CommandNamesTests {
  @Test(arguments: [
    ("trian", "unknown command 'trian'; did you mean 'train'?"),
    ("trian --help", "unknown command 'trian'; did you mean 'train'?"),
    ("eval runs/a", "unknown command 'eval'; did you mean 'evaluate'?"),
    ("hlep", "unknown command 'hlep'; did you mean 'help'?"),
    ("checkpoint verfy runs/a", "unknown command 'checkpoint verfy'; did you mean 'checkpoint verify'?"),
    ("data lsit", "unknown command 'data lsit'; did you mean 'data list'?"),
    ("data give", "unknown command 'data give'; known are list, fetch, verify, export"),
    ("help tran", "unknown command 'tran'; did you mean 'train'?"),
    ("help data lst", "unknown command 'data lst'; did you mean 'data list'?"),
    ("help train now", "unknown command 'train now'"),
  ])
  func mistypedCommandsAreNamed(words: String, expected: String) {
    #expect(MoEDist.commandObjection(words.split(separator: " ").map { String($0) }) == expected)
  }

  @Test func allAreNamedWhereNoneIsNear() throws {
    let objection = try #require(MoEDist.commandObjection(["serve"]))
    #expect(objection.hasPrefix("unknown command 'serve'; known are train, launch, "))
    #expect(objection.hasSuffix(", help"))
    // Two begin so.
    #expect(MoEDist.commandObjection(["rep"])?.contains("known are") == true)
  }

  /// Values, options and what follows two hyphens are no commands.
  @Test(arguments: [
    "", "--experts 3", "-h", "train", "train now", "evaluate trian", "launch -np 2 -- trian", "data",
    "data verify mnsit", "help", "help train", "help data list", "help help", "-- trian",
    "report runs/a runs/b",
  ])
  func othersPass(words: String) {
    #expect(MoEDist.commandObjection(words.split(separator: " ").map { String($0) }) == nil)
  }
}
