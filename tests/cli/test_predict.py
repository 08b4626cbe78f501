"""`medshot predict`: how its files are read."""

from command import medshot

from medshot.imaging import decoding


def test_every_file_is_read_through_once_for_its_prediction_and_its_warning(model, ward, monkeypatch, capsys):
    read, opened = decoding.read_content, []
    monkeypatch.setattr(decoding, "read_content", lambda path: opened.append(path) or read(path))
    assert medshot("predict", model, ward) == 0
    assert sorted(opened) == sorted(ward.glob("*/*.png"))
    assert len(capsys.readouterr().out.splitlines()) == len(opened) + 1
