import Files
import Testing
import Training

private func message(_ yaml: String) -> String? {
  do {
    _ = try ConfigurationLayer(yaml: yaml, file: "run.yaml")
    return nil
  } catch {
    return error.code == .usage ? error.message : "wrong code: \(error.code)"
  }
}

struct ConfigurationYAMLTests {
  @Test func printedConfigurationsReadBack() throws {
    var configuration = try Configuration.resolve([]).configuration
    configuration.dataset = "idx"
    configuration.mean = [0.2859, 0.5]
    configuration.standardDeviation = [0.353, 1e-30]
    configuration.maxTime = 12.5
    configuration.seed = .max
    configuration.shuffle = false
    for path in [
      "null", "~/runs", "-x", "a: b", "\"q\"", "it's", "# no comment", "*a", "&b", "!c", "tab\tnew\nline",
      "\u{7F}é", "1,2", ",",
    ] {
      configuration.dataDirectory = path
      configuration.initFrom = path
      let layer = try ConfigurationLayer(yaml: configuration.yaml, file: "config.yaml")
      #expect(try Configuration.resolve([layer]).configuration == configuration, "data directory \(path)")
    }
  }

  @Test func theRunDirectoryIsNotPartOfARun() throws {
    var configuration = Configuration()
    configuration.runDirectory = "runs/a"
    #expect(!configuration.yaml.contains("run-dir"))
    #expect(try ConfigurationLayer(yaml: "run-dir: runs/b", file: "f").entries.map(\.text) == ["runs/b"])
  }

  @Test func valuesMayBeQuotedAndListsMayBeLists() throws {
    let layer = try ConfigurationLayer(
      yaml:
        "# a comment & nothing more\nexperts: \"8\"\nplacement: [0, 1, 1]\nmean:\n  - 0.5\n  - 0.25\nshuffle: False\n",
      file: "f")
    #expect(layer.entries.map(\.key) == ["experts", "placement", "mean", "shuffle"])
    #expect(layer.entries.map(\.text) == ["8", "0,1,1", "0.5,0.25", "false"])
    #expect(layer.entries[1].origin == .file("f", line: 3, column: 12))
  }

  @Test func anEmptyFileChangesNothing() throws {
    #expect(try ConfigurationLayer(yaml: "", file: "f").entries.isEmpty)
    #expect(try ConfigurationLayer(yaml: "# nothing\n", file: "f").entries.isEmpty)
  }

  @Test func anUnknownKeyIsFoundAndItsNeighbourNamed() {
    let lines = Array(repeating: "# padding", count: 6).joined(separator: "\n")
    #expect(message(lines + "\nexprts: 5\n") == "run.yaml:7:1: unknown key 'exprts'; did you mean 'experts'?")
    #expect(message("zebra: 5\n") == "run.yaml:1:1: unknown key 'zebra'")
  }

  @Test func aWrongValueIsFound() {
    #expect(
      message("seed: 1\nexperts: many\n")
        == "run.yaml:2:10: experts: many is not allowed: expected a whole number from 1 to 65536")
  }

  @Test(arguments: [
    ("experts: &five 5\n", "run.yaml:1:10: anchors"), ("experts: *five\n", "run.yaml:1:10: aliases"),
    ("seed: 1\nexperts: !!int 5\n", "run.yaml:2:10: tags"),
    ("%YAML 1.2\n---\nseed: 1\n", "run.yaml:1:1: directives"),
    ("- &a\n", "run.yaml:1:3: anchors"), ("{\"seed\":&a 1}\n", "run.yaml:1:9: anchors"),
    ("a: [x, *y]\n", "run.yaml:1:8: aliases"), ("? *a\n: 1\n", "run.yaml:1:3: aliases"),
  ])
  func powersThatASettingDoesNotNeedAreRefused(yaml: String, start: String) {
    #expect(message(yaml)?.hasPrefix(start) == true)
  }

  @Test(arguments: [
    ("seed: 1\nseed: 2\n", "occurs more than once"), ("seed: {a: 1}\n", "not nested"),
    ("seed: [[1]]\n", "one value"),
    ("- seed\n", "key: value"), ("seed\n", "key: value"), ("seed:\n", "no value"),
    ("[a]: 1\n", "a key is one word"),
    ("seed: 1\n---\nseed: 2\n", "another document"), ("seed: \"1\n", "run.yaml:"),
    ("seed: 1\n\tepochs: 2\n", "run.yaml:"),
    ("seed: \u{0}\n", "run.yaml"),
  ])
  func whatIsNoListOfSettingsIsRefused(yaml: String, part: String) throws {
    #expect(try #require(message(yaml)).contains(part))
  }

  @Test func largeAndDeepFilesAreRefusedAtOnce() throws {
    #expect(message(String(repeating: "#", count: 262_145))?.contains("262145 bytes") == true)
    #expect(message("seed: " + String(repeating: "[", count: 250_000)) != nil)
    #expect(message(String(repeating: "- ", count: 130_000)) != nil)
    #expect(message(String(repeating: "{a: ", count: 60_000)) != nil)
  }

  @Test func aMissingFileIsNotFound() {
    #expect(throws: Failure(.notFound, "configuration file /nowhere/a.yaml not found; give one that exists"))
    {
      try ConfigurationLayer(file: "/nowhere/a.yaml")
    }
  }
}
