"""Tables of the admin: the history of what was changed

Revision: 0004, after: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "admin_change_set",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.String(length=255)),
        sa.Column("actor", sa.String(length=255)),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=255)),
        sa.Column("label", sa.String(length=255)),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64)),
        sa.Column("reason", sa.Text()),
        sa.Column("undoes_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.ForeignKeyConstraint(
            ["undoes_id"],
            ["admin_change_set.id"],
            name=op.f("fk_admin_change_set_undoes_id_admin_change_set"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_change_set")),
    )
    for column in ("actor_id", "at", "undoes_id"):
        op.create_index(op.f(f"ix_admin_change_set_{column}"), "admin_change_set", [column])
    op.create_table(
        "admin_row_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "change_set_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("table_name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("old", sa.JSON()),
        sa.Column("new", sa.JSON()),
        sa.ForeignKeyConstraint(
            ["change_set_id"],
            ["admin_change_set.id"],
            name=op.f("fk_admin_row_change_change_set_id_admin_change_set"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_admin_row_change")),
    )
    op.create_index(
        op.f("ix_admin_row_change_change_set_id"), "admin_row_change", ["change_set_id"]
    )
    op.create_index("ix_admin_row_change_table_name_key", "admin_row_change", ["table_name", "key"])


def downgrade() -> None:
    op.drop_table("admin_row_change")
    op.drop_table("admin_change_set")
