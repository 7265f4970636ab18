"""Point clouds, read back by the rules of nuplan-devkit's reader; images that are there already."""

import numpy as np

from navsim_agents.world.camera.calibration import default_cameras
from navsim_agents.world.writers.blobs import encode_pcd, point_cloud, write_images, write_point_clouds
from navsim_agents.world.writers.logs import frame_steps, image_path, lidar_path
from tests.world.small_town import small_drive
from tests.world.small_world import plain_picture


def read_pcd(content):
    """As nuplan/database/utils/pointclouds/pointcloud.py: header lines up to DATA, then rows of the fields."""
    head, body = content.split(b"DATA binary\n", 1)
    header = {line.split()[0]: line.split()[1:] for line in head.decode().splitlines() if not line.startswith("#")}
    kinds = {"F": "float", "U": "uint", "I": "int"}
    types = [kinds[kind] + str(8 * int(size)) for kind, size in zip(header["TYPE"], header["SIZE"])]
    row = np.dtype(list(zip(header["FIELDS"], types)))
    assert len(body) == row.itemsize * int(header["POINTS"][0])
    return np.frombuffer(body, row)


def test_points_lie_on_the_walls_of_the_boxes():
    box = np.array([[10.0, 20.0, 0.8, 4.5, 1.9, 1.6, np.pi / 2]])  # a car that heads left
    road, points = point_cloud(np.zeros((0, 7))), point_cloud(box)
    walls = points[len(road) :]
    np.testing.assert_array_equal(road[:, 2], 0.0)
    np.testing.assert_allclose(walls.min(axis=0), [10.0 - 0.95, 20.0 - 2.25, 0.0], atol=1e-9)
    assert np.all(walls.max(axis=0) <= np.array([10.95, 22.25, 1.6]) + 1e-9)
    inside = np.abs(walls[:, :2] - [10.0, 20.0]) < np.array([0.95, 2.25]) - 1e-6
    assert not inside.all(axis=1).any()


def test_point_cloud_file_has_what_the_devkit_reads():
    points = np.array([[1.0, 2.0, 3.0], [-4.5, 0.0, 0.25]])
    table = read_pcd(encode_pcd(points))
    np.testing.assert_array_equal(np.stack([table[axis] for axis in "xyz"], axis=1), points)
    assert {"intensity", "ring", "lidar_info"} <= set(table.dtype.names)


def test_files_that_a_power_cut_emptied_are_written_again(tmp_path):
    """They are not forced to the disk one by one."""
    drive, cameras = small_drive(), {"cam_f0": default_cameras()["cam_f0"]}
    write_images(drive, cameras, tmp_path, plain_picture, range(1))
    write_point_clouds(drive, tmp_path, range(1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for path in before:
        path.write_bytes(b"")
    assert write_images(drive, cameras, tmp_path, plain_picture, range(1)) == 1
    assert write_point_clouds(drive, tmp_path, range(1)) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_files_that_are_there_are_kept(tmp_path):
    drive, steps = small_drive(), range(0, 11, 5)
    cameras = {"cam_f0": default_cameras()["cam_f0"]}
    first = tmp_path / image_path(drive.log_name, 0, "cam_f0")
    first.parent.mkdir(parents=True)
    first.write_bytes(b"mine")
    assert write_images(drive, cameras, tmp_path, plain_picture, steps) == 2
    assert write_images(drive, cameras, tmp_path, plain_picture, steps) == 0
    assert first.read_bytes() == b"mine"
    assert write_point_clouds(drive, tmp_path, frame_steps(drive)[:2]) == 2
    assert write_point_clouds(drive, tmp_path, frame_steps(drive)[:3]) == 1
    assert len(read_pcd((tmp_path / lidar_path(drive.log_name, 5)).read_bytes())) > 1000
    assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []  # no temporary file stays
