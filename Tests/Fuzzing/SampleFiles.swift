internal import Foundation

/// Small valid files by hand.
enum SampleFiles {
  /// Four images of 8 × 8.
  static let images: [UInt8] =
    [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 8] + pixels
  private static let pixels: [UInt8] = (0..<256).map { (index: Int) -> UInt8 in
    let value = index * index / 7 + index % 5 * 17
    return UInt8(value % 64)
  }
  static let labels: [UInt8] = [0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 2, 3]

  /// The same as gzip makes them, with dynamic and with fixed codes.
  static let compressedImages = bytes(
    """
    H4sIAAAAAAACAx3DCXKCMAAAwADhLiLB4QYhh0jBSriKGOX/v7LTnVkADAUAAP8a/z08aUrQCPeAF7ssZ7v6fRzrdxBziwiQTIfmbjEpp1Lx\
    jKo9FymDFNLeG/xZpvq3k+5E70SldYhYPNrRhu3J4Kl6V/tUG8wZu+Ik94VTB+rMAMc+rHx1bU3R02i94dD5oSkyW5L6X32Ds+C58K4+WJoC\
    roxUZ9PQNY3zYZxKTC9NmOQVO8UFucZn1o2smwRcJcvPUVYPr3G3Q5o1C0R20qy6jPAIgUdmXY3aN/LY5lK6HS+vPbipeflALTQ/KFUs6BAB\
    AAA=
    """)
  static let compressedLabels = bytes("H4sIAAAAAAACA2Ng4GBkYGBgYWBkYgYAF20EIAwAAAA=")

  static let json = """
    {"a":[0,-1,1.5e-3,-0.0,1E+2,9223372036854775807,[],[[{}]]],"b":{"\\u00e9\\ud83d\\ude00\\n":"\\"\\\\\\/ü😀"},
     "c":null,"d":true,"e":false}
    """

  static let yaml = """
    # A comment
    dataset: synthetic
    model: "mnist"
    experts: 5
    'gate': softmax
    combine: top-k
    top-k: 2   # two
    learning-rate: 1.0e-3
    shuffle: True
    placement: [0, 1, 0, 1, 0]
    mean:
      - 0.5
    run-dir: "a \\x41\\u00e9 b"
    """

  static let costs: String = {
    let cost = #"{"per_call":1e-5,"per_unit":2.5e-11}"#
    let names = [
      "input", "gate_forward", "gate_backward", "expert_forward", "expert_backward", "plan", "dispatch",
      "combine",
      "return", "loss", "regularisers", "optimiser", "metrics", "other",
    ]
    return #"""
      {"format":"moe-dist-costs-1","costs":{"model":"mnist","gate":"softmax","channels":1,"height":28,"width":28,
      "classes":10,"layers":1,"regularised":false,"gate_flops":1000,"seconds":{\#(names.map { "\"\($0)\":\(cost)" }.joined(separator: ","))}},
      "messages":[{"up_to_bytes":4096,"alpha_seconds":1e-6,"beta_seconds_per_byte":1e-10},
      {"alpha_seconds":2e-6,"beta_seconds_per_byte":1e-10}],"ranks":2,"oversubscribed":false,"place":{"host":"a"}}
      """#
  }()

  private static func bytes(_ base64: String) -> [UInt8] {
    guard let data = Data(base64Encoded: base64) else { preconditionFailure("the text is base 64") }
    return Array(data)
  }
}
