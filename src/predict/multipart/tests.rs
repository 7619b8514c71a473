use proptest::prelude::*;

use super::*;

const TYPE: &str = "multipart/form-data; boundary=theirs";

fn part(name: &str, media_type: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "--theirs\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn body(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), b"--theirs--\r\n".to_vec()].concat()
}

fn rewriter(content_type: &str) -> Result<Rewriter, Refusal> {
    Rewriter::new(content_type, "ours".to_owned(), "mine".to_owned(), TextLimit::new(1000))
}

fn rewrite(body: &[u8], piece: usize) -> Result<Vec<u8>, Refusal> {
    let mut rewriter = rewriter(TYPE)?;
    let mut out = Vec::new();
    for piece in body.chunks(piece) {
        out.extend_from_slice(&rewriter.feed(piece)?);
    }
    out.extend_from_slice(&rewriter.finish()?);
    Ok(out)
}

fn refused(body: &[u8]) -> String {
    rewrite(body, 7).expect_err(&String::from_utf8_lossy(body)).message().to_owned()
}

#[test]
fn files_are_written_anew() {
    let sent = body(&[part("a.txt", "Text/Plain; charset=x", b"hello"), part("b.md", "text/markdown", b"")]);
    let expected = "--ours\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"\r\n\
                    Content-Type: text/plain\r\n\r\nhello\r\n--ours\r\n\
                    Content-Disposition: form-data; name=\"files\"; filename=\"b.md\"\r\n\
                    Content-Type: text/markdown\r\n\r\n\r\n--ours--\r\n";
    assert_eq!(String::from_utf8(rewrite(&sent, 1000).unwrap()).unwrap(), expected);
    let framed = [b"preamble\r\n".to_vec(), sent, b"epilogue".to_vec()].concat();
    assert_eq!(String::from_utf8(rewrite(&framed, 3).unwrap()).unwrap(), expected);
}

fn chat_part(chat: &str) -> Vec<u8> {
    format!("--theirs\r\nContent-Disposition: form-data; name=\"chatId\"\r\n\r\n{chat}\r\n").into_bytes()
}

#[test]
fn the_chat_may_be_named_once_more_and_goes_no_further() {
    let file = part("a.txt", "text/plain", b"hello");
    let alone = rewrite(&body(std::slice::from_ref(&file)), 1000).unwrap();
    for parts in [[file.clone(), chat_part("mine")], [chat_part("mine"), file.clone()]] {
        for piece in [1, 7, 1000] {
            assert_eq!(rewrite(&body(&parts), piece).unwrap(), alone, "{piece}");
        }
    }
    for chat in ["other", "", "mine2", "min", &"m".repeat(9000)] {
        assert!(refused(&body(&[chat_part(chat), file.clone()])).contains("not the one in the path"), "{chat}");
    }
    assert!(refused(&body(&[chat_part("mine"), chat_part("mine"), file])).contains("twice"));
    assert!(refused(&body(&[chat_part("mine")])).contains("no file"));
}

fn base64_part(word: &str) -> Vec<u8> {
    format!("--theirs\r\nContent-Disposition: form-data; name=\"base64\"\r\n\r\n{word}\r\n").into_bytes()
}

#[test]
fn bytes_may_be_asked_for_in_place_of_text() {
    let file = part("a.txt", "text/plain", b"hello");
    let plain = String::from_utf8(rewrite(&body(std::slice::from_ref(&file)), 1000).unwrap()).unwrap();
    let asked = "--ours\r\nContent-Disposition: form-data; name=\"base64\"\r\n\r\ntrue\r\n";
    for piece in [1, 7, 1000] {
        let rewrite = |parts: &[Vec<u8>]| String::from_utf8(rewrite(&body(parts), piece).unwrap()).unwrap();
        assert_eq!(rewrite(&[base64_part("true"), file.clone()]), format!("{asked}{plain}"));
        let before = plain.strip_suffix("--ours--\r\n").unwrap();
        assert_eq!(rewrite(&[file.clone(), base64_part("1")]), format!("{before}{asked}--ours--\r\n"));
        assert_eq!(rewrite(&[base64_part("false"), file.clone()]), plain);
    }
    assert!(refused(&body(&[base64_part("maybe"), file.clone()])).contains("true or false"));
    assert!(refused(&body(&[base64_part("true"), base64_part("true"), file])).contains("twice"));
}

#[test]
fn words_of_texts_are_bounded_wherever_the_file_is_cut() {
    for content in ["x".repeat(1001), "=".repeat(1001), "\n".repeat(1001), "😀".repeat(501)] {
        for piece in [7, 5000] {
            let refusal = rewrite(&body(&[part("a.md", "text/markdown", content.as_bytes())]), piece).unwrap_err();
            assert!(matches!(refusal, Refusal::Invalid(Rule::WordLength, _)), "{refusal:?}");
        }
    }
    let long = "漢".repeat(1500);
    assert!(rewrite(&body(&[part("a.txt", "text/plain", long.as_bytes())]), 7).is_ok());
    let two = [part("a.txt", "text/plain", long.as_bytes()), part("b.txt", "text/plain", long.as_bytes())];
    assert!(refused(&body(&two)).contains("too many long words"));
    assert!(rewrite(&body(&[part("a.pdf", "application/pdf", format!("%PDF-{long}{long}").as_bytes())]), 7).is_ok());
}

#[test]
fn boundaries_are_read_as_they_are_written() {
    for (text, is_good) in [
        ("multipart/form-data; boundary=abc", true),
        ("multipart/form-data; boundary=\"a b'c\"", true),
        ("multipart/form-data; charset=x; Boundary=abc", true),
        ("multipart/form-data", false),
        ("multipart/form-data; boundary=", false),
        ("multipart/form-data; boundary=a; boundary=b", false),
        ("multipart/form-data; boundary=\"a\\\"b\"", false),
        ("multipart/form-data; boundary=\"open", false),
    ] {
        assert_eq!(rewriter(text).is_ok(), is_good, "{text}");
    }
    assert!(rewriter(&format!("multipart/form-data; boundary={}", "x".repeat(71))).is_err());
}

#[test]
fn what_is_no_honest_file_is_refused() {
    for (file, sentence) in [
        (part("page.html", "text/html", b"<b>"), "not accepted"),
        (part("a.txt", "text/html", b"<b>"), "does not belong"),
        (part("a.png", "image/png", b"<svg onload=alert(1)>"), "not of the kind"),
        (part("../a.txt", "text/plain", b"x"), "name holds a /"),
        (part("a%2f..%2fb.txt", "text/plain", b"x"), "name holds %2f"),
        (part("a.html?", "text/plain", b"x"), "not accepted"),
        (part("a.html", "", b"<b>"), "not accepted"),
        (part("a.txt", "", b"\0"), "not of the kind"),
    ] {
        let message = refused(&body(&[file]));
        assert!(message.contains(sentence), "{message}");
    }
    let other =
        b"--theirs\r\nContent-Disposition: form-data; name=\"other\"; filename=\"a.txt\"\r\n\r\nx\r\n--theirs--\r\n";
    assert!(refused(other).contains("files, chatId and base64"));
    let field = b"--theirs\r\nContent-Disposition: form-data; name=\"files\"\r\n\r\nx\r\n--theirs--\r\n";
    assert!(refused(field).contains("no file with a name"));
    let twice = b"--theirs\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.txt\"; filename*=x\r\n\r\nx\r\n--theirs--\r\n";
    assert!(refused(twice).contains("two names"));
    let odd = b"--theirs\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: form-data; name=\"files\"\r\n\r\nx\r\n--theirs--\r\n";
    assert!(refused(odd).contains("not known"));
}

#[test]
fn heads_are_read_as_http_libraries_write_them() {
    let written = |head: &str, content: &str| {
        let body = format!("--theirs\r\n{head}\r\n\r\n{content}\r\n--theirs--\r\n");
        rewrite(body.as_bytes(), 7).map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let expected = |name: &str, media_type: &str| {
        format!(
            "--ours\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{name}\"\r\n\
             Content-Type: {media_type}\r\n\r\nhello\r\n--ours--\r\n"
        )
    };
    let named = "Content-Disposition: form-data; name=\"files\"; filename=\"a.txt\"";
    for more in [
        "\r\nContent-Type: text/plain\r\nContent-Length: 5",
        "\r\nContent-Length: 999",
        "\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary",
        "\r\nContent-Transfer-Encoding: 8BIT",
        "\r\nContent-Transfer-Encoding: 7bit\r\nContent-ID: <1>\r\nMIME-Version: 1.0",
        "; filename*=utf-8''a.txt",
        "",
    ] {
        assert_eq!(written(&format!("{named}{more}"), "hello").unwrap(), expected("a.txt", "text/plain"), "{more}");
    }
    for (head, name, media_type) in [
        (
            "Content-Disposition: form-data; name=files; filename*=UTF-8'de'gr%C3%BCn%20%281%29.txt",
            "grün (1).txt",
            "text/plain",
        ),
        (
            "Content-Disposition: form-data; name=files; filename=\"=?utf-8?B?w7w=?=\"; filename*=utf-8''%C3%BC.md",
            "ü.md",
            "text/markdown",
        ),
        (
            "Content-Disposition: form-data; name=files; filename=a.csv\r\nContent-Type: application/vnd.ms-excel",
            "a.csv",
            "text/csv",
        ),
        ("Content-Disposition: form-data; name=files; filename=\"Say \\\"hi\\\"?..md\"", "Say hi.md", "text/markdown"),
        ("Content-Disposition: form-data; name=files; filename=\"%22hi%22.md\"", "%22hi%22.md", "text/markdown"),
    ] {
        assert_eq!(written(head, "hello").unwrap(), expected(name, media_type));
    }
    for (more, sentence) in [
        ("; filename*=utf-8''a.html", "not accepted"),
        ("; filename*=utf-8''..%2Fa.txt", "name holds a /"),
        ("; filename*=utf-8''a%0A%22.txt", "control character"),
        ("; filename*=utf-8''a%252f.txt", "name holds %2f"),
        ("; filename*=utf-8''a%zz.txt", "cannot be read"),
        ("; filename*=utf-8''a%ff.txt", "cannot be read"),
        ("; filename*=utf-16''a.txt", "cannot be read"),
        ("; filename*=a.txt", "two names"),
        ("\r\nContent-Transfer-Encoding: quoted-printable", "not known"),
        ("\r\nContent-Transfer-Encoding: binary\r\nContent-Transfer-Encoding: binary", "twice"),
    ] {
        let refusal = written(&format!("{named}{more}"), "hello").unwrap_err();
        assert!(refusal.message().contains(sentence), "{more} {refusal:?}");
    }
}

#[test]
fn files_are_collected_as_they_are_written() {
    let large = "a line\r\n--".repeat(20_000);
    let sent = body(&[
        part("What?.txt", "text/plain", large.as_bytes()),
        base64_part("true"),
        part("b.md", "", b""),
        chat_part("mine"),
    ]);
    let collector = || Collector::new(TYPE, "mine".to_owned(), TextLimit::new(1000)).unwrap();
    let form = collector().collect(&sent).unwrap();
    let file = |name: &str, media_type, bytes: &[u8]| CollectedFile {
        name: name.to_owned(),
        media_type,
        bytes: bytes.to_vec(),
    };
    assert_eq!(form.files, [file("What.txt", "text/plain", large.as_bytes()), file("b.md", "text/markdown", b"")]);
    assert!(form.wants_bytes);
    for body in [sent.split_at(sent.len() - 12).0, &*part("a.html", "", b"x"), b""] {
        assert!(collector().collect(body).is_err());
    }
}

#[test]
fn a_form_that_fills_a_store_names_its_chat_and_its_node() {
    let file = part("a.txt", "text/plain", b"hello");
    let node = b"--theirs\r\nContent-Disposition: form-data; name=\"stopNodeId\"\r\n\r\nqdrant_0\r\n".to_vec();
    let collect = |parts: &[Vec<u8>]| Collector::of_upsert(TYPE, TextLimit::new(1000)).unwrap().collect(&body(parts));
    let form = collect(&[chat_part("any"), file.clone(), node.clone()]).unwrap();
    assert_eq!((form.chat.as_deref(), form.stop_node.as_deref()), (Some("any"), Some("qdrant_0")));
    assert!(collect(&[chat_part(&"x".repeat(300)), file.clone()]).is_err());
    assert!(collect(&[node.clone(), node.clone(), file.clone()]).is_err());
    // Files of a chat go to no node.
    assert!(refused(&body(&[file, node])).contains("files, chatId and base64"));
}

#[test]
fn broken_framing_is_refused_and_bounded() {
    assert!(refused(b"--theirs--\r\n").contains("no file"));
    assert!(refused(b"").contains("middle"));
    assert!(refused(&part("a.txt", "text/plain", b"x")).contains("middle"));
    assert!(refused(b"--theirsXY").contains("something else"));
    assert!(refused(&[vec![b'x'; 9000], body(&[part("a.txt", "text/plain", b"x")])].concat()).contains("before"));
    assert!(refused(&[body(&[part("a.txt", "text/plain", b"x")]), vec![b'x'; 9000]].concat()).contains("behind"));
    assert!(refused(&[b"--theirs\r\nX: ".to_vec(), vec![b'x'; 9000]].concat()).contains("too long"));
    let many: Vec<_> = (0..11).map(|n| part(&format!("{n}.txt"), "text/plain", b"x")).collect();
    assert!(refused(&body(&many)).contains("more than 10"));
}

#[test]
fn a_large_file_is_not_held() {
    let mut rewriter = rewriter(TYPE).unwrap();
    let head = part("a.txt", "text/plain", b"");
    rewriter.feed(&head[..head.len() - 2]).unwrap();
    for _ in 0..1000 {
        rewriter.feed("a line\n".repeat(2000).as_bytes()).unwrap();
        assert!(rewriter.form.held.len() < 3 * TELLING, "{}", rewriter.form.held.len());
    }
}

proptest! {
    #[test]
    fn splits_change_nothing_and_contents_survive(
        contents in prop::collection::vec("([a-z]|\r\n|--|\r\n--|\r\n--their|theirs){0,40}", 1..4),
        piece in 1..60_usize,
    ) {
        prop_assume!(contents.iter().all(|content| !content.contains("\r\n--theirs") && !content.starts_with("--theirs")));
        let parts: Vec<_> = contents.iter().map(|content| part("a.txt", "text/plain", content.as_bytes())).collect();
        let whole = rewrite(&body(&parts), 100_000).unwrap();
        prop_assert_eq!(&rewrite(&body(&parts), piece).unwrap(), &whole);
        let text = String::from_utf8(whole).unwrap();
        let files: Vec<_> = text.split("--ours").filter_map(|part| part.split_once("\r\n\r\n")).collect();
        prop_assert_eq!(files.len(), contents.len());
        for ((_, file), content) in files.iter().zip(&contents) {
            prop_assert_eq!(file.strip_suffix("\r\n").unwrap(), content);
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..20_usize) {
        let _ = rewrite(&bytes, piece);
        let _ = rewrite(&[b"--theirs\r\n".to_vec(), bytes].concat(), piece);
    }
}
