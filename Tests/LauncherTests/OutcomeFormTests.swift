import Files
import Foundation
import Records
import Testing
import Training
import launcher

/// What `predict` writes: names, shapes, and what stands for an expert that did not run.
struct OutcomeFormTests {
  private static let all = OutcomeColumn.allCases

  private func rows(layers: Int = 1) -> [OutcomeRow] {
    [OutcomeRow(SampleTextTests.detail(parts: [.idle, .mixed, .idle], layers: layers))]
  }

  private func text(_ form: any OutcomeForm, _ rows: [OutcomeRow]) -> String {
    var form = form
    return String(decoding: form.bytes(of: rows) + form.end(), as: UTF8.self)
  }

  @Test func listsAreColumnsOfCSV() {
    #expect(
      text(CSVForm(Self.all), rows()) == """
        sample,class,probability,expert,p_0,p_1,p_2,gate_0,gate_1,gate_2,answer_0_0,answer_0_1,answer_0_2,\
        answer_1_0,answer_1_1,answer_1_2,answer_2_0,answer_2_1,answer_2_2
        0,2,0.625,1,0.125,0.25,0.625,0.125,0.75,0.125,,,,0.25,0.5,0.25,,,

        """)
    #expect(text(CSVForm([.gate]), rows(layers: 2)).hasPrefix("sample,gate_1_0,gate_1_1,gate_1_2,gate_2_0,"))
    // In the order in which they were named.
    #expect(text(CSVForm([.expert, .class]), rows()) == "sample,expert,class\n0,1,2\n")
  }

  @Test func listsAreArraysOfJSON() {
    #expect(
      text(JSONLinesForm(Self.all), rows()) == """
        {"answers":[null,[0.25,0.5,0.25],null],"class":2,"distribution":[0.125,0.25,0.625],"expert":1,\
        "gate":[0.125,0.75,0.125],"probability":0.625,"sample":0}

        """)
    #expect(text(JSONLinesForm([.gate]), rows(layers: 2)).contains("\"gate\":[[0.125,0.75,0.125],[0.125,"))
  }

  @Test func tensorsHaveTheStatedShapes() throws {
    var form: any OutcomeForm = SafetensorsForm(Self.all)
    #expect(form.bytes(of: rows()).isEmpty)
    _ = form.bytes(of: rows())
    let file = form.end()
    let length = file[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONValue(parsing: Array(file[8..<8 + length]))
    #expect(length % 8 == 0)
    func tensor(_ name: String) throws -> (words: [UInt32], type: String?, shape: String?) {
      let entry = try #require(header[name])
      guard case .array(let ends)? = entry["data_offsets"] else { return ([], nil, nil) }
      let (from, to) = (8 + length + (ends[0].integerValue ?? 0), 8 + length + (ends[1].integerValue ?? 0))
      let words = stride(from: from, to: to, by: 4).map { place in
        (0..<4).reduce(UInt32(0)) { $0 | UInt32(file[place + $1]) << (8 * UInt32($1)) }
      }
      return (words, entry["dtype"]?.stringValue, entry["shape"]?.text())
    }
    #expect(try tensor("class") == ([2, 2], "I32", "[2]") && tensor("expert").type == "I32")
    #expect(try tensor("probability").shape == "[2]" && tensor("distribution").shape == "[2,3]")
    #expect(try tensor("gate").words.prefix(3) == [Float(0.125), 0.75, 0.125].map(\.bitPattern)[...])
    let answers = try tensor("answers")
    #expect(answers.shape == "[2,3,3]" && answers.type == "F32")
    let values = answers.words.map { Float(bitPattern: $0) }
    #expect(values[3..<6] == [0.25, 0.5, 0.25] && (values[..<3] + values[6..<9]).allSatisfy(\.isNaN))
    var deep: any OutcomeForm = SafetensorsForm([.gate])
    _ = deep.bytes(of: rows(layers: 2))
    #expect(String(decoding: deep.end(), as: UTF8.self).contains("\"shape\":[1,2,3]"))
  }

  @Test func columnsAreNamed() throws {
    #expect(try OutcomeColumn.list("gate,class", isDeep: false) == [.gate, .class])
    func refusal(_ text: String, isDeep: Bool = false) -> String {
      do throws(Failure) {
        _ = try OutcomeColumn.list(text, isDeep: isDeep)
        return ""
      } catch { return error.code == .usage ? error.message : "another code" }
    }
    #expect(refusal("class,gaet").contains("unknown column 'gaet'; did you mean 'gate'?"))
    #expect(refusal("class,probability,colour").contains("columns are class,probability,expert,distribution"))
    #expect(refusal("").contains("unknown column ''") && refusal("class,class").contains("twice"))
    #expect(refusal("answers", isDeep: true).contains("hidden rows"))
  }
}
