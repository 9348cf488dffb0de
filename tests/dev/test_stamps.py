"""What is made once, and heals when its making was interrupted."""

import fcntl
import subprocess
import sys

import pytest

from dev import settings
from dev.stamps import Stamp, hash_of, lock_file, made_aside, only_one, try_lock, write_atomically


def fill_until_interrupted(target):
    with made_aside(target) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt


def test_what_was_interrupted_leaves_nothing_behind_that_could_be_taken_for_the_result(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        fill_until_interrupted(target)
    assert not target.exists()
    with made_aside(target) as folder:
        assert list(folder.iterdir()) == []
        (folder / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_the_old_result_stays_until_the_new_one_is_there(tmp_path):
    target = tmp_path / "made"
    with made_aside(target) as folder:
        (folder / "old").touch()
    with pytest.raises(KeyboardInterrupt):
        fill_until_interrupted(target)
    assert (target / "old").exists()


def test_a_stamp_says_nothing_once_it_is_removed(tmp_path):
    stamp = Stamp(tmp_path / "deep" / "stamp")
    assert stamp.read() is None
    stamp.write("abc")
    assert stamp.read() == "abc"
    stamp.remove()
    stamp.remove()
    assert stamp.read() is None


def test_a_hash_does_not_confuse_where_one_part_ends_and_the_next_begins():
    assert hash_of(["ab", "c"]) != hash_of(["a", "bc"])


def test_a_file_with_secrets_is_never_readable_by_others(tmp_path):
    path = tmp_path / "odoo.conf"
    path.touch(0o644)
    write_atomically(path, "secret", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["odoo.conf"]


def test_a_lock_is_free_again_when_its_holder_was_killed(tmp_path):
    hold = "import sys; from pathlib import Path; from dev.stamps import only_one\n"
    hold += "with only_one(Path(sys.argv[1]), 'testing'): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=settings.ROOT) as holder:
        assert holder.stdout.readline() == b"held\n"
        with lock_file(tmp_path / "lock") as descriptor:
            assert not try_lock(descriptor, fcntl.LOCK_EX)
        holder.kill()
    with only_one(tmp_path / "lock", "testing"):
        pass
