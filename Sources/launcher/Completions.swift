import ArgumentParser
import DataSets

extension CompletionKind {
  /// The words of an enumeration.
  static func words<Word: RawRepresentable & CaseIterable>(of _: Word.Type) -> CompletionKind
  where Word.RawValue == String {
    .list(Word.allCases.map(\.rawValue))
  }

  /// The names of the data sets that have one: without `idx`, which means the files that options name.
  static var dataSets: CompletionKind { .list(DataSetRegistry.all.map(\.name).filter { $0 != "idx" }) }

  /// Those that can be fetched.
  static var publishedDataSets: CompletionKind {
    .list(DataSetRegistry.all.filter { $0.publication != nil }.map(\.name))
  }

  /// The checkpoints that have a name in every run.
  static var namedCheckpoints: CompletionKind { .list(["latest", "best"]) }
}
