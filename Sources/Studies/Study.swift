public import Files
internal import Training

/// A setting by its key of ``ConfigurationSchema``, as text.
public struct StudySetting: Equatable, Sendable {
  public let key: String
  public let text: String

  public init(_ key: String, _ text: String) {
    self.key = key
    self.text = text
  }

  /// Reads `key=value`.
  ///
  /// - Parameter option: what took the words, for messages: `set`, `grid`.
  /// - Throws: ``Failure`` where it is none, or where the key is no setting.
  public init(parsing words: String, option: String) throws(Failure) {
    guard let equals = words.firstIndex(of: "="), equals != words.startIndex,
      words.index(after: equals) != words.endIndex
    else { throw Failure(.usage, "\(setting: option, words) is not allowed: expected key=value") }
    key = String(words[..<equals])
    text = String(words[words.index(after: equals)...])
    guard ConfigurationSchema.setting(key) != nil else {
      throw Failure(.usage, "\(setting: option, words): unknown setting '\(key)'\(settingHint(key))")
    }
  }

  /// `key=value`.
  package var words: String { "\(key)=\(text)" }
}

/// One way to train, tried with every seed and, where it has a grid, every setting of the grid.
public struct StudyMethod: Equatable, Sendable {
  /// Where a method's runs start: from the final checkpoint of another method's run with the same seed.
  package struct Source: Equatable, Sendable {
    /// The other method's name.
    package let method: String
    /// The setting that takes the checkpoint's path.
    package let key: String

    package init(method: String, key: String) {
      self.method = method
      self.key = key
    }
  }

  /// Unique in the study, a part of its runs' names.
  public let name: String
  /// What tables call it.
  package let label: String
  /// The table that it belongs to.
  package let group: String
  package let settings: [StudySetting]
  /// The settings to choose from by validation error, at least one; one without settings where there is no choice.
  package var candidates: [[StudySetting]] = [[]]
  /// Further settings of seed i: element i modulo their number.
  package var perSeed: [[StudySetting]] = []
  package var source: Source?
  /// Added to the seed: fresh experts.
  package var seedOffset = 0
  /// The rule `stochastic` evaluates the arg-max expert alone; such figures make a row of their own.
  package var isEvaluatedConditionally = false
  /// Whether it is only a step on the way to another method.
  package var isHidden = false

  package init(name: String, label: String, group: String, settings: [StudySetting]) {
    self.name = name
    self.label = label
    self.group = group
    self.settings = settings
  }

  /// The name of the row of its conditional evaluation.
  package var conditionalName: String { name + "-conditional" }
}

/// What is published of a method, and for which of its settings.
package struct PublishedRow: Equatable, Sendable {
  package let method: String
  /// The setting that the figures belong to; nil: whichever was selected.
  package var setting: StudySetting?
  /// Means over the authors' runs.
  package var means: [StudyMetric: Spread] = [:]
  /// The run that the authors selected.
  package var selected: StudyFigures = [:]
}

/// Methods × seeds × settings: what is trained, how it is judged, and what its tables say.
public struct Study: Sendable {
  /// Names the default directory.
  public let name: String
  package let title: String
  public var methods: [StudyMethod]
  /// Seeds 0 ..< seeds.
  public var seeds: Int
  /// Settings of every run, under those of the methods.
  package var common: [StudySetting]
  /// Settings that the user gave, over those of the methods.
  package var overrides: [StudySetting] = []
  /// The columns of its tables.
  package var metrics = StudyMetric.ofTestSet
  package var claims: [StudyClaim] = []
  package var published: [PublishedRow] = []
  package var caveats: [String] = []
  /// What has to be said where published figures are shown.
  package var publishedCaveats: [String] = []
  /// Epochs between checkpoints of a run; 0: at its end alone.
  package var checkpointEpochs = 0
  /// A small version, whose figures are not to be compared with anything.
  package var isQuick = false
  /// What may be changed without making published figures those of another experiment.
  private static let incidental: Set = [
    "payload", "placement", "block-rows", "validation-fraction", "importance", "similarity",
  ]

  /// Epochs of the published figures, where runs of fewer may stand beside them; the difference is said there.
  package var publishedEpochs: Int?

  /// Whether published figures are for the same experiment, so that a comparison makes sense.
  package var isComparable: Bool {
    !published.isEmpty && !isQuick
      && overrides.allSatisfy {
        Study.incidental.contains($0.key) || ($0.key == "epochs" && publishedEpochs != nil)
      }
  }

  /// What differs from the published set-up by the user's settings.
  package var differences: [String] {
    guard let publishedEpochs, let epochs = overrides.last(where: { $0.key == "epochs" })?.text,
      epochs != String(publishedEpochs)
    else { return [] }
    return [
      "The published figures are of \(publishedEpochs) epochs, ours of \(epochs): a run that has not converged says how "
        + "far it is and not how good."
    ]
  }
  /// Whether every row is a setting of one grid, of which the best is sought.
  package var isSweep = false

  package init(
    name: String, title: String, methods: [StudyMethod], seeds: Int, common: [StudySetting],
    claims: [StudyClaim] = [], published: [PublishedRow] = [], caveats: [String] = [],
    publishedCaveats: [String] = []
  ) {
    self.name = name
    self.title = title
    self.methods = methods
    self.seeds = seeds
    self.common = common
    self.claims = claims
    self.published = published
    self.caveats = caveats
    self.publishedCaveats = publishedCaveats
  }

  package func method(_ name: String) -> StudyMethod? { methods.first { $0.name == name } }

  /// The published figures of a method with a setting.
  package func published(_ method: String, _ candidate: [StudySetting]) -> PublishedRow? {
    published.first { row in row.method == method && (row.setting.map { candidate.contains($0) } ?? true) }
  }
}
