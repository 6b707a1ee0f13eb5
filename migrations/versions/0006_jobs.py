"""Tables of the admin: long jobs, and which of them a change belongs to

Revision: 0006, after: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "admin_job",
        sa.Column("id", big, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("view", sa.String(length=255)),
        sa.Column("owner_id", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("selection", sa.JSON()),
        sa.Column("parameters", sa.JSON()),
        sa.Column("reason", sa.Text()),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("wanted", sa.String(length=10)),
        sa.Column("total", sa.Integer()),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("counts", sa.JSON()),
        sa.Column("cursor", sa.JSON()),
        sa.Column("sentence", sa.Text()),
        sa.Column("worker", sa.String(length=64)),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("is_told", sa.Boolean(), nullable=False),
        sa.Column("undoes_id", big),
        sa.ForeignKeyConstraint(
            ["undoes_id"],
            ["admin_job.id"],
            name=op.f("fk_admin_job_undoes_id_admin_job"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_job")),
    )
    for column in ("owner_id", "state", "undoes_id"):
        op.create_index(op.f(f"ix_admin_job_{column}"), "admin_job", [column])
    op.create_table(
        "admin_job_failure",
        sa.Column("id", big, nullable=False),
        sa.Column("job_id", big, nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("label", sa.String(length=255), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["admin_job.id"],
            name=op.f("fk_admin_job_failure_job_id_admin_job"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_job_failure")),
    )
    op.create_index(op.f("ix_admin_job_failure_job_id"), "admin_job_failure", ["job_id"])
    op.add_column("admin_change_set", sa.Column("job_id", big))
    op.create_index(op.f("ix_admin_change_set_job_id"), "admin_change_set", ["job_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_admin_change_set_job_id"), "admin_change_set")
    op.drop_column("admin_change_set", "job_id")
    op.drop_table("admin_job_failure")
    op.drop_table("admin_job")
