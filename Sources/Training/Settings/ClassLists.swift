package import Files

/// The classes of every expert, as the user writes them: `0,7/1,9/2,4`.
package struct ClassLists: Equatable, Sendable {
  /// Per expert, its classes in the order given.
  package let classesOfExpert: [[Int]]

  /// Nil where the text is no such list or names a class twice.
  package init?(_ text: String) {
    var lists: [[Int]] = []
    var seen: Set<Int> = []
    for part in text.split(separator: "/", omittingEmptySubsequences: false) {
      var list: [Int] = []
      for word in part.split(separator: ",", omittingEmptySubsequences: false) {
        guard let number = Int(word), number >= 0, number < 256, seen.insert(number).inserted else {
          return nil
        }
        list.append(number)
      }
      guard !list.isEmpty else { return nil }
      lists.append(list)
    }
    classesOfExpert = lists
  }

  /// The expert of every class.
  ///
  /// - Throws: ``Failure`` for wrong usage where a class does not exist or has no expert.
  package func expertOfClass(classes: Int, dataset: String) throws(Failure) -> [Int] {
    var experts = [Int](repeating: -1, count: classes)
    for (expert, list) in classesOfExpert.enumerated() {
      for label in list {
        guard label < classes else {
          throw Failure(
            .usage,
            "\(setting: "expert-classes") names class \(label), but data set '\(dataset)' has the classes 0 to \(classes - 1)"
          )
        }
        experts[label] = expert
      }
    }
    if let missing = experts.firstIndex(of: -1) {
      throw Failure(
        .usage,
        "\(setting: "expert-classes") gives class \(missing) to no expert; every class of '\(dataset)' needs one"
      )
    }
    return experts
  }
}
