import DataSets
import Files
import Foundation
import Testing

@Suite struct DataSyntheticTests {
  private let images = SyntheticTask.images(0..<2000)

  /// Mean brightness of each region of a picture.
  private func brightness(_ sample: Int) -> [Double] {
    let regions = SyntheticTask.regionOfPixel
    var sums = [Double](repeating: 0, count: 14)
    var counts = sums
    for pixel in 0..<784 {
      sums[Int(regions[pixel])] += Double(images.images[sample * 784 + pixel])
      counts[Int(regions[pixel])] += 1
    }
    return zip(sums, counts).map { $0 / $1 }
  }

  @Test func regionsDoNotOverlap() {
    let regions = SyntheticTask.regionOfPixel
    for tab in 1...5 { #expect(regions.filter { $0 == UInt8(tab) }.count == 24) }
    for patch in 6...13 { #expect(regions.filter { $0 == UInt8(patch) }.count == 48) }
  }

  @Test func functionsAreOrthogonalAndBalanced() {
    for i in 0..<5 {
      #expect(SyntheticTask.functions[i].reduce(0, +) == 0)
      for j in 0..<5 {
        let product = zip(SyntheticTask.functions[i], SyntheticTask.functions[j]).reduce(0) {
          $0 + $1.0 * $1.1
        }
        #expect(product == (i == j ? 8 : 0))
      }
    }
  }

  /// Dark patches have a shade of at most 79 and bright ones of at least 128, noise adds 31.5 ± 2.7 on average: 135 is
  /// nine deviations from both. The lit tab gives the cluster, and the cluster's function of the patches the class: the task can be solved
  /// without error, by one linear threshold per cluster.
  @Test func tabAndFunctionGiveTheClass() {
    for sample in 0..<images.count {
      let seen = brightness(sample)
      let cluster = (0..<5).max { seen[1 + $0] < seen[1 + $1] }!
      let signs = (0..<8).map { seen[6 + $0] > 135 ? 1 : -1 }
      let product = zip(SyntheticTask.functions[cluster], signs).reduce(0) { $0 + $1.0 * $1.1 }
      #expect(abs(product) >= 2)
      let label = cluster + (product > 0 ? 5 : 0)
      #expect(label == Int(images.labels[sample]))
      #expect(SyntheticTask.cluster(ofClass: label) == cluster)
    }
  }

  /// Another cluster's function tells nothing: agreement with the class is a fair coin. 1 600 tosses per pair within
  /// five standard errors (√1600/2 = 20), ties left out.
  @Test func anotherClustersFunctionTellsNothing() {
    for wrong in 1..<5 {
      var agree = 0
      var tosses = 0
      for sample in 0..<images.count {
        let label = Int(images.labels[sample])
        let signs = brightness(sample)[6...].map { $0 > 135 ? 1 : -1 }
        let function = SyntheticTask.functions[(label + wrong) % 5]
        let product = zip(function, signs).reduce(0) { $0 + $1.0 * $1.1 }
        guard product != 0 else { continue }
        tosses += 1
        if (product > 0) == (label >= 5) { agree += 1 }
      }
      #expect(tosses > 1000)
      #expect(abs(Double(agree) - Double(tosses) / 2) < 5 * Double(tosses).squareRoot() / 2)
    }
  }

  /// One expert per cluster, from the count table of (cluster, class): the published bound log₂ 5.
  @Test func bestDecompositionHasItsMutualInformation() {
    var joint = [Double](repeating: 0, count: 50)
    for label in images.labels {
      joint[SyntheticTask.cluster(ofClass: Int(label)) * 10 + Int(label)] += 1 / Double(images.count)
    }
    var information = 0.0
    for expert in 0..<5 {
      for label in 0..<10 where joint[expert * 10 + label] > 0 {
        let p = joint[expert * 10 + label]
        let pe = joint[expert * 10..<expert * 10 + 10].reduce(0, +)
        let py = (0..<5).reduce(0.0) { $0 + joint[$1 * 10 + label] }
        information += p * log2(p / (pe * py))
      }
    }
    #expect(abs(information - log2(5)) < 1e-12)
    #expect(SyntheticTask.bestMutualInformation == log2(5))
  }

  /// The sums are those of an independent rendering of the definition in NumPy (its own Philox, its own layout).
  @Test func isTheTaskThatItsDefinitionGives() throws {
    let data = try DataSetRegistry.source(named: "synthetic").load(DataOptions(environment: [:]))
    let sums = [
      sha256(data.train.images), sha256(data.train.labels), sha256(data.test.images),
      sha256(data.test.labels),
    ]
    #expect(
      sums == [
        "bc8c9858eb058529a3e8de39a0227d8ec84eece7b71672dc5b1b602903c03045",
        "a03e70550c1825d27a04fcacd7bc59a0df988963ec9c03c287810b7cf787cc68",
        "0c7e20bfe9e48de110ddda635c1c939be2cf60bcf20f4eca7d5b2c118236cd81",
        "19efeabbd5fed476d80e2ce2609cdc76c23b9694a1631c6371599ab362810a91",
      ])
  }

  @Test func samplesDoNotDependOnTheRange() {
    let some = SyntheticTask.images(1234..<1240)
    #expect(Array(some.images) == Array(images.images[1234 * 784..<1240 * 784]))
    #expect(some.labels == Array(images.labels[1234..<1240]))
  }

  @Test func isBalancedReproducibleAndQuick() throws {
    let source = try DataSetRegistry.source(named: "synthetic")
    let start = ContinuousClock.now
    let data = try source.load(DataOptions(environment: [:]))
    #expect(ContinuousClock.now - start < .seconds(2))
    #expect(data.train.count == 12_000 && data.test.count == 2_000 && data.classes == 10)
    for label in 0..<10 as Range<UInt8> {
      #expect(data.train.labels.filter { $0 == label }.count == 1200)
      #expect(data.test.labels.filter { $0 == label }.count == 200)
    }
    #expect(try source.load(DataOptions(environment: [:])).fingerprints == data.fingerprints)
    #expect(Array(data.train.images.prefix(784)) != Array(data.test.images.prefix(784)))
    #expect(source.search(DataOptions(environment: [:])) == nil)
    #expect(data.location.isEmpty && data.notes.isEmpty)
  }
}
